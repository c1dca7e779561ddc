// The chunks of a store's segments, to be found by their ids: the index in memory, and the footers that were used last.
// docs/STORE.md, "Window". What it says may be stale or wrong; whoever uses it finds that out. Threading: one thread
// at a time.
#pragma once

#include <list>
#include <map>
#include <set>
#include <span>

#include "io/folder.h"
#include "store/chunk_index.h"
#include "store/footer.h"
#include "store/segment_table.h"

namespace zferry::store {

class Window {
 public:
  // Both outlive it.
  Window(io::Folder& folder, const StoreKeys& keys) : folder_(folder), keys_(keys) {}

  // At first: how much memory the index takes before it takes no further segment.
  void set_index_bytes_max(std::uint64_t bytes) { index_bytes_max_ = bytes; }
  // From the chunks' file of a segment that was there at opening. False: nothing of it can be found.
  bool read(SegmentEntry& entry);
  // A segment that is being written. False where there are too many already, or too many chunks.
  bool enroll(SegmentEntry& entry, const Scope& scope);
  // Chunks of a block in it. False: it has too many, and is not to get more. REQUIRES: enrolled, and not settled.
  bool add(SegmentEntry& entry, std::uint32_t at, const BlockFacts& block, std::span<const ChunkFacts> chunks);
  // No more is added.
  void settle(const SegmentEntry& entry);
  // The segment is going.
  void retire(SegmentEntry& entry);

  struct Found {
    SegmentEntry* segment;
    Footer::Found found;
  };
  std::optional<Found> find(const Scope& scope, const chunk::Id& id, std::uint64_t bytes);
  std::optional<Found> find(const Scope& scope, const chunk::SubId& id, std::uint64_t bytes);
  // Not this block again.
  void forget(SegmentEntry& entry, std::uint32_t at);

  std::uint64_t index_bytes() const { return index_.bytes(); }

 private:
  struct Kept {
    SegmentEntry* segment;
    Footer footer;
    bool growing = false;  // the segment is being written: it stays
  };
  using Footers = std::list<Kept>;  // what was used last comes first

  std::uint32_t number_of(const Scope& scope);
  Footers::iterator cached(const SegmentEntry& entry);
  Footer& footer_of(SegmentEntry& entry);
  void drop_footers();
  template <class AnyId>
  std::optional<Found> find_by_index(const Scope& scope, const AnyId& id, const chunk::SubId& prefix,
                                     std::uint64_t bytes);

  // 0: none.
  ChunkIndex::Handle handle();

  io::Folder& folder_;
  const StoreKeys& keys_;
  std::uint64_t index_bytes_max_ = limits::kIndexBytesLeast;
  ChunkIndex index_;
  std::vector<SegmentEntry*> by_handle_;
  std::map<Scope, std::uint32_t> scopes_;
  Footers footers_;
  std::map<const SegmentEntry*, std::set<std::uint32_t>> forgotten_;
};

}  // namespace zferry::store
