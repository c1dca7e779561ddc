// Where room comes from: what is kept to be found goes first, and what sessions need never. docs/STORE.md, "When it is
// full".
#include <algorithm>

#include "store/file_names.h"
#include "store/state.h"
#include "store/window_file.h"

namespace zferry::store {
namespace {

constexpr std::uint64_t kHeadroomShare = 8;     // of the capacity at most, that the window leaves to blocks that come
constexpr std::uint64_t kHeadroomSegments = 2;  // and so many segments

Error full(const io::Folder& folder, std::uint64_t capacity) {
  return {Fault::kStoreFull,
          escaped(folder.path()) + ": the store's capacity of " + std::to_string(capacity) + " bytes is reached",
          {}};
}

}  // namespace

std::uint64_t Store::State::reserve() const {
  std::uint64_t sum = 0;
  for (const auto& [id, session] : live) sum += session->reserve_beside(session->journal_bytes);
  for (const auto& [id, session] : live) sum += session->unwritten_chunks();
  // Written beside the one before it.
  if (settings.window) sum += store::window_file_bytes(segments.size() + 1);
  return sum;
}

Status Store::State::room_for(std::uint64_t bytes) const {
  const std::uint64_t evictable = segments.evictable_bytes();
  const std::uint64_t taken = used + reserve(), capacity = settings.capacity_bytes + evictable;
  if (taken > capacity || bytes > capacity - taken) return full(folder, settings.capacity_bytes);
  auto free = folder.free_bytes();
  if (!free) return free.take_error();
  const std::uint64_t there = *free + evictable;
  if (there < limits::kStoreReserveBytes || there - limits::kStoreReserveBytes < bytes) {
    return Error{Fault::kStoreFull, escaped(folder.path()) + ": its disk has " + std::to_string(*free) + " bytes left",
                 "make room on the store's disk, or give zferry another folder for its store"};
  }
  return {};
}

Status Store::State::make_room(std::uint64_t bytes) {
  if (Status status = room_for(bytes); !status) return status;
  if (auto made = make_room_beside(reserve(), bytes); !made) return made.take_error();
  if (segments.evictable_bytes() == 0) return {};
  auto free = folder.free_bytes();
  if (!free) return free.take_error();
  // A disk may be slow to say that a removal has freed something: what was removed counts.
  const std::uint64_t wanted = limits::kStoreReserveBytes + bytes, before = segments.evictable_bytes();
  while (*free + (before - segments.evictable_bytes()) < wanted) {
    SegmentEntry* first = segments.first_to_go();
    if (first == nullptr) break;
    if (Status status = remove_segment(*first); !status) return status;
  }
  return {};
}

Result<bool> Store::State::make_room_beside(std::uint64_t reserved, std::uint64_t bytes) {
  const std::uint64_t wanted = reserved + bytes;
  if (used + wanted > settings.capacity_bytes + segments.evictable_bytes()) return false;
  while (used + wanted > settings.capacity_bytes) {
    SegmentEntry* first = segments.first_to_go();
    if (first == nullptr) return false;
    if (Status status = remove_segment(*first); !status) return status.take_error();
  }
  return true;
}

std::uint64_t Store::State::headroom() const {
  return std::min(settings.capacity_bytes / kHeadroomShare, kHeadroomSegments * settings.segment_bytes);
}

// So that not every block that comes has to remove something first.
bool Store::State::wants_room() const {
  if (used + reserve() + headroom() > settings.capacity_bytes) return true;
  auto free = folder.free_bytes();
  return free && *free < limits::kStoreReserveBytes + headroom();
}

// What this generation has written or found stays: where everything in the window is that young, it takes no more
// rather than to lose what it has for what is no better.
Status Store::State::let_go(SegmentEntry& entry, bool keep) {
  segments.disown(entry);
  if (entry.pins > 0) return {};
  if (!keep || !settings.window || entry.scope == 0 || entry.log_bytes == 0) return remove_segment(entry);
  window_changed = true;
  std::uint64_t gone = 0;
  const auto wants_more = [&] { return gone < headroom() + entry.bytes && wants_room(); };
  while (wants_more()) {
    SegmentEntry* first = segments.first_to_go();
    if (first == &entry || first->last_use >= generation) return remove_segment(entry);
    gone += first->bytes;
    if (Status status = remove_segment(*first); !status) return status;
  }
  return {};
}

// Its pins before its segments: it may have pinned those.
Status Store::State::let_go_all(const SessionId& session, bool keep) {
  if (Status status = release_all(session); !status) return status;
  for (SegmentEntry* entry : segments.of(session))
    if (entry->owned)
      if (Status status = let_go(*entry, keep); !status) return status;
  return {};
}

Status Store::State::remove_segment(SegmentEntry& entry) {
  const SessionId session = *entry.session;
  const std::uint32_t number = entry.number;
  std::erase_if(readers, [&](const OpenReader& open) { return open.segment == &entry; });
  window.retire(entry);
  const std::uint64_t bytes = entry.bytes + entry.log_bytes;
  const bool has_log = entry.has_log;
  segments.erase(entry);
  window_changed = true;
  Status status = folder.remove(segment_name(keys, session, number));
  if (status && has_log) status = folder.remove(chunks_name(keys, session, number));
  if (!status) return over(status.take_error());
  used -= std::min(used, bytes);
  return {};
}

void Store::State::hold(const SessionId& session, SegmentEntry& entry) {
  if (held[session].insert(&entry).second) segments.pin(entry);
}

Status Store::State::release(const SessionId& session, SegmentEntry& entry) {
  const auto all = held.find(session);
  if (all == held.end() || all->second.erase(&entry) == 0) return {};
  if (all->second.empty()) held.erase(all);
  segments.unpin(entry);
  // Only the pin kept it.
  if (entry.pins == 0 && !entry.owned && entry.log_bytes == 0) return remove_segment(entry);
  return {};
}

Status Store::State::release_all(const SessionId& session, const std::map<PinnedSegment, Pin>& but) {
  const auto all = held.find(session);
  if (all == held.end()) return {};
  for (SegmentEntry* entry : std::set(all->second))
    if (!but.contains({*entry->session, entry->number}))
      if (Status status = release(session, *entry); !status) return status;
  return {};
}

}  // namespace zferry::store
