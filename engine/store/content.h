// What a session's journal says, and the rules by which it changes: the same for a journal that is read back and for a
// session that is written. Sees no files. Threading: one thread at a time each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/file_header.h"
#include "store/store.h"

namespace zferry::store {

inline constexpr std::size_t kLabelBytesMax = 512;
inline constexpr std::uint64_t kSegmentFileBytesMax = std::uint64_t{1} << 31;

struct Place {
  std::uint32_t segment = 0;
  std::uint32_t at = 0;  // of the sealed block in the segment's file
};

struct SegmentFacts {
  Check check{};                 // of its header
  std::uint64_t blocks = 0;      // that count
  std::uint64_t end = 0;         // of the last block that was ever added
  std::uint64_t file_bytes = 0;  // as far as it is known
  bool named = false;            // by the journal that is being written
};

// Of whichever session: one that blocks of this one are made of.
struct PinnedSegment {
  SessionId session{};
  std::uint32_t number = 0;
  auto operator<=>(const PinnedSegment&) const = default;
};
struct Pin {
  Check check{};              // of the segment's header
  std::uint64_t number = 0;   // the highest block that needs it
  std::uint64_t written = 0;  // that number as the journal has it
};

class SessionContent {
 public:
  std::string label;
  std::int64_t begun_unix_s = 0;
  std::map<Note, std::vector<std::byte>> notes;

  bool has(std::uint64_t number) const { return number < first_ || blocks_.contains(number); }
  // REQUIRES: !has(block.number); place.segment is in segments().
  void add(const BlockFacts& block, const Place& place);
  void truncate(std::uint64_t number);
  // Blocks up to this number are made of what is there.
  Pin& pin(const PinnedSegment& segment, const Check& check, std::uint64_t number);
  // REQUIRES: number >= first().
  void checkpoint(std::uint64_t number, std::vector<std::byte> state);

  std::uint64_t first() const { return first_; }
  std::uint64_t next() const { return next_; }  // the first that is missing
  std::uint64_t packed_bytes() const { return packed_bytes_; }
  const std::vector<std::byte>& state() const { return state_; }
  const std::map<std::uint64_t, BlockFacts>& blocks() const { return blocks_; }
  const Place& place_of(std::uint64_t number) const { return places_.at(number); }
  std::map<std::uint32_t, SegmentFacts>& segments() { return segments_; }
  const std::map<std::uint32_t, SegmentFacts>& segments() const { return segments_; }
  std::map<PinnedSegment, Pin>& pins() { return pins_; }
  const std::map<PinnedSegment, Pin>& pins() const { return pins_; }
  // That a checkpoint has made needless, and an earlier state of the journal may still need.
  std::vector<PinnedSegment>& past_pins() { return past_pins_; }

 private:
  using Blocks = std::map<std::uint64_t, BlockFacts>;
  void erase(Blocks::iterator from, Blocks::iterator to);
  void advance();

  std::uint64_t first_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t packed_bytes_ = 0;
  std::vector<std::byte> state_;
  Blocks blocks_;
  std::unordered_map<std::uint64_t, Place> places_;
  std::map<std::uint32_t, SegmentFacts> segments_;
  std::map<PinnedSegment, Pin> pins_;
  std::vector<PinnedSegment> past_pins_;
};

}  // namespace zferry::store
