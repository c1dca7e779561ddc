// What a session gives to the window, and what it takes from it: its chunks are written down beside its blocks, and
// segments that its blocks are made of are pinned. docs/STORE.md, "Window".
#include <algorithm>

#include "store/file_names.h"
#include "store/state.h"

namespace zferry::store {

// None of this may stop the session: what cannot be written down is not found later, no more.
Status Session::State::log_chunks(const BlockFacts& block, std::uint32_t at, std::span<const ChunkFacts> chunks) {
  if (!segment->log || chunks.empty()) return {};
  const auto entries = encode_chunks(at, block, chunks);
  std::uint64_t bytes = 0;
  for (const auto& entry : entries) bytes += entry.size() + kPageHeaderBytes + seal::kTagBytes;
  if (Status status = store.make_room(bytes); !status)
    return status.error().fault == Fault::kStoreFull ? Status() : store.over(status.take_error());
  for (const auto& entry : entries) {
    segment->log->add(entry);
    if (segment->log->is_due()) flush_log();
    if (!segment->log) return {};
  }
  // As many chunks as are kept of a segment: those that come find room in the next one.
  if (!store.window.add(segment->entry, at, block, chunks)) close_segment();
  return {};
}

void Session::State::flush_log() {
  if (!segment || !segment->log || store.failure) return;
  ChunkLog& log = *segment->log;
  const std::uint64_t before = log.bytes();
  const Status status = log.flush({store.folder, store.keys, id, segment->number, store.settings.cipher, store.random});
  store.used += log.bytes() - before;
  segment->entry.log_bytes = log.bytes();
  segment->entry.has_log = segment->entry.has_log || log.bytes() > 0 || !status;
  if (status) return;
  segment->log.reset();
  store.window.settle(segment->entry);
}

// For the next opening. What does not come to the disk costs no more than what it was to save.
void Session::State::sync_logs() {
  if (store.failure) return;
  for (ChunkLog& log : unsynced_logs) [[maybe_unused]] const Status synced = log.sync();
  unsynced_logs.clear();
}

bool Session::State::pin(const BlockPlace& place, std::uint64_t number) {
  SegmentEntry* entry = store.segments.find(place.session, place.segment);
  if (entry == nullptr || entry->check != place.check || store.failure) return false;
  if (number < content.first()) return true;  // it is applied: nobody will make it again
  const PinnedSegment segment_of{place.session, place.segment};
  if (!content.pins().contains(segment_of)) {
    store.hold(id, *entry);
    // In the journal, and in the one that is written anew beside it.
    const std::uint64_t bytes = 2 * (kPinRecordBytes + kPageHeaderBytes + seal::kTagBytes);
    // What is pinned is no room for blocks any more: so much must be left, whatever is found.
    const bool room = store.room_for(store.headroom()).ok();
    if (auto found = store.make_room_beside(store.reserve(), bytes); !room || !found || !*found) {
      [[maybe_unused]] const Status released = store.release(id, *entry);
      return false;
    }
    Pin& pin = content.pin(segment_of, place.check, number);
    pin.written = number;
    pending.pin(segment_of, place.check, number);
    changed = true;
  }
  content.pin(segment_of, place.check, number);
  const std::uint64_t end = std::uint64_t{place.at} + place.block.packed_bytes + seal::kTagBytes;
  if (end > entry->synced) unsynced_pins[segment_of] = std::max(unsynced_pins[segment_of], end);
  return true;
}

// What is pinned may have been written by a process that was killed before it synced it, or by a session that has not
// committed yet.
Status Session::State::sync_pinned() {
  for (const auto& [pinned, end] : unsynced_pins) {
    SegmentEntry* entry = store.segments.find(pinned.session, pinned.number);
    if (entry == nullptr || entry->synced >= end) continue;
    auto file = store.folder.open(segment_name(store.keys, pinned.session, pinned.number));
    if (!file) return file.take_error();
    if (Status status = (*file)->sync(); !status) return status;
    entry->synced = (*file)->bytes();
  }
  unsynced_pins.clear();
  return {};
}

// Of the pins that a checkpoint leaves those of which the journal does not know that they go beyond it.
void Session::State::write_pins_again(std::uint64_t first) {
  for (auto& [pinned, pin] : content.pins()) {
    if (pin.number < first || pin.written >= first) continue;
    pending.pin(pinned, pin.check, pin.number);
    pin.written = pin.number;
  }
}

Status Session::State::release_past_pins() {
  for (const PinnedSegment& past : std::exchange(content.past_pins(), {})) {
    SegmentEntry* entry = store.segments.find(past.session, past.number);
    if (entry == nullptr || content.pins().contains(past)) continue;
    if (Status status = store.release(id, *entry); !status) return status;
  }
  return {};
}

}  // namespace zferry::store
