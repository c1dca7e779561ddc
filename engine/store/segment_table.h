// Every segment in a store's folder: whose it is, who needs it, and which may go first when room is wanted. Sees no
// files. Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "store/file_header.h"

namespace zferry::store {

struct SegmentEntry {
  const SessionId* session = nullptr;
  std::uint32_t number = 0;
  std::uint32_t scope = 0;      // of its chunks, as the window counts scopes; 0: none can be found
  Check check{};                // of its header, where it is known
  std::uint32_t handle = 0;     // in the index; 0: none
  std::uint32_t chunks = 0;     // that can be found by their whole ids
  std::uint64_t bytes = 0;      // of its file
  std::uint64_t log_bytes = 0;  // of its chunks' file
  bool has_log = false;         // there may be such a file, were it empty
  std::uint64_t last_use = 0;   // the generation in which it was written or found
  std::uint64_t born = 0;       // the generation in which it was written
  std::uint64_t age = 0;        // less is older, of those of this opening
  std::uint64_t synced = 0;     // so many of its bytes are surely on disk
  std::uint32_t pins = 0;       // sessions that need it, whosoever it is
  bool owned = true;            // a session's journal may name blocks in it; else it is kept to be found
};

class SegmentTable {
 public:
  // REQUIRES: it is not there.
  SegmentEntry& add(const SessionId& session, std::uint32_t number);
  SegmentEntry* find(const SessionId& session, std::uint32_t number);
  void erase(SegmentEntry& entry);
  // 0 where it has none.
  std::uint32_t last_number(const SessionId& session) const;
  void each(const std::function<void(SegmentEntry&)>& see);
  void each(const std::function<void(const SegmentEntry&)>& see) const;
  // In their order; safe against changes of the table.
  std::vector<SegmentEntry*> of(const SessionId& session);

  // Its bytes do not change once it is not owned.
  void disown(SegmentEntry& entry);
  void pin(SegmentEntry& entry);
  void unpin(SegmentEntry& entry);
  // What can be had back by removing segments that nobody needs.
  std::uint64_t evictable_bytes() const { return evictable_bytes_; }
  // Of those the one that goes first; nullptr where there is none.
  SegmentEntry* first_to_go();
  std::size_t size() const { return size_; }

 private:
  static bool evictable(const SegmentEntry& entry) { return !entry.owned && entry.pins == 0; }
  static std::uint64_t bytes_of(const SegmentEntry& entry) { return entry.bytes + entry.log_bytes; }

  std::map<SessionId, std::map<std::uint32_t, SegmentEntry>> sessions_;
  std::uint64_t evictable_bytes_ = 0;
  std::uint64_t next_age_ = 0;
  std::size_t size_ = 0;
};

}  // namespace zferry::store
