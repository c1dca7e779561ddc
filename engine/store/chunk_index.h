// Which segments may have a chunk: from the first bytes of its id to a segment's handle, six bytes an entry and a
// little room. It only ever guesses: what it gives is looked up in the segment's own chunks (footer.h). Sees no files.
// Threading: one thread at a time each.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "chunk/id.h"

namespace zferry::store {

class ChunkIndex {
 public:
  using Handle = std::uint32_t;  // 0: none
  static constexpr Handle kHandlesMax = (1u << 20) - 1;
  static constexpr std::size_t kCandidatesMax = 8;

  explicit ChunkIndex(Handle handles_max = kHandlesMax);

  // For a segment. 0 where all are in use.
  Handle acquire();
  // The segment is gone: its entries are not found any more, and their room is used again by and by.
  void release(Handle handle);
  // REQUIRES: acquired. Of many segments with the same chunk a few stay.
  void add(const chunk::SubId& id, Handle handle);
  // The same in less time: memory is asked for ahead.
  void add(std::span<const chunk::SubId> ids, Handle handle);

  struct Candidates {
    std::array<Handle, kCandidatesMax> handles{};
    std::size_t count = 0;
    const Handle* begin() const { return handles.data(); }
    const Handle* end() const { return handles.data() + count; }
  };
  Candidates find(const chunk::SubId& id) const;

  std::uint64_t bytes() const;    // of memory
  std::uint64_t entries() const;  // of segments that are gone too, until their room is used

 private:
  // 28 bits of a tag, then 20 of a handle; zeros where it is empty.
  struct Slot {
    std::array<std::byte, 6> bytes{};
    std::uint64_t value() const {
      std::uint32_t low = 0;
      std::uint16_t high = 0;
      std::memcpy(&low, bytes.data(), sizeof low);
      std::memcpy(&high, bytes.data() + sizeof low, sizeof high);
      return low | std::uint64_t{high} << 32;
    }
    void set(std::uint64_t value) { std::memcpy(bytes.data(), &value, bytes.size()); }
  };
  static_assert(sizeof(Slot) == 6);
  // In the order of their tags; each at its home or, where that is taken, behind it with nothing empty between.
  struct Shard {
    std::vector<Slot> slots;
    std::uint32_t used = 0;
  };
  enum class State : std::uint8_t { kFree, kInUse, kGone };
  struct Key {
    std::size_t shard;
    std::uint64_t tag;
  };
  static Key key_of(const chunk::SubId& id);
  bool in_use(std::uint64_t value) const;
  static std::size_t home_of(std::uint64_t tag, std::size_t slots);
  bool insert(Shard& shard, std::size_t at, std::uint64_t value);
  void rebuild(std::size_t shard, bool longer = false);
  void sweep();

  std::vector<Shard> shards_;
  std::vector<State> states_;  // by handle, of those that were ever in use
  std::vector<Handle> free_;
  Handle handles_max_;
  std::size_t gone_ = 0;
};

}  // namespace zferry::store
