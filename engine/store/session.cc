// A session's blocks: in, and out again. What makes them count is in session_commit.cc.
#include <algorithm>

#include "store/file_names.h"
#include "store/state.h"

namespace zferry::store {

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {
  state_->store.live[state_->id] = state_.get();
}

Session::~Session() {
  Store::State& store = state_->store;
  state_->close_segment();
  state_->sync_logs();
  store.live.erase(state_->id);
  if (state_->journal_bytes > 0) {
    store.known[state_->id] = state_->committed;
    return;
  }
  // Never committed: there is no such session. What cannot be removed now goes when the store is opened.
  store.known.erase(state_->id);
  [[maybe_unused]] const Status gone = store.let_go_all(state_->id, true);
}

SessionSummary Session::State::summary() const {
  SessionSummary all = summary_of(id, content);
  all.disk_bytes = journal_bytes;
  for (const auto& [number, facts] : content.segments()) {
    const SegmentEntry* entry = store.segments.find(id, number);
    all.disk_bytes += facts.file_bytes + (entry == nullptr ? 0 : entry->log_bytes);
  }
  return all;
}

Status Session::State::room_for(std::size_t packed_bytes) const {
  return store.room_for(packed_bytes + seal::kTagBytes + (segment ? 0 : kHeaderBytes));
}

Status Session::State::append(const BlockFacts& block, ConstBytes packed, std::span<const ChunkFacts> chunks) {
  ZF_ASSERT(block.number < limits::kBlocksMax && packed.size() == block.packed_bytes && !packed.empty() &&
            packed.size() <= limits::kBlockBytesMax);
  if (Status status = store.usable(); !status) return status;
  if (content.has(block.number)) return {};
  if (Status status = store.make_room(packed.size() + seal::kTagBytes + (segment ? 0 : kHeaderBytes)); !status) {
    if (status.error().fault == Fault::kStoreFull) return status;
    return store.over(status.take_error());
  }
  if (!segment)
    if (Status status = open_segment(); !status) return status;
  SegmentFacts& facts = content.segments().at(segment->number);
  auto at = segment->file.append({}, encode(block), packed);
  if (!at) return close_torn_segment(at.take_error(), packed.size());
  const Place place{segment->number, static_cast<std::uint32_t>(*at)};
  segment->synced = false;
  store.used += segment->file.bytes() - facts.file_bytes;
  facts.file_bytes = segment->entry.bytes = segment->file.bytes();
  segment->entry.last_use = store.generation;
  content.add(block, place);
  if (!std::exchange(facts.named, true)) pending.segment(segment->number, facts.check);
  pending.block(block, place);
  changed = true;
  if (Status status = log_chunks(block, place.at, chunks); !status) return status;
  if (segment && segment->file.bytes() >= store.settings.segment_bytes) close_segment();
  return {};
}

Status Session::State::open_segment() {
  const std::uint32_t number = next_segment++;
  ZF_ASSERT(number != 0);  // 2^32 segments of 64 MiB
  auto file =
      SealedFile::create(store.folder, segment_name(store.keys, id, number),
                         make_header(store.keys, FileKind::kSegment, number, id, store.settings.cipher, store.random));
  if (!file) {
    if (file.error().fault == Fault::kStoreFull) return file.take_error();
    return store.over(file.take_error());
  }
  folder_synced = false;
  store.used += file->bytes();
  SegmentFacts& facts = content.segments()[number];
  facts.check = file->check();
  facts.file_bytes = file->bytes();
  SegmentEntry& entry = store.segments.add(id, number);
  entry.check = facts.check;
  entry.bytes = facts.file_bytes;
  entry.born = store.generation;
  segment.emplace(OpenSegment{number, std::move(*file), false, entry});
  if (store.settings.window && scope && store.window.enroll(entry, *scope))
    segment->log.emplace(ChunksStart{*scope, entry.check, store.generation});
  return {};
}

// Whatever is unsynced of it is with the next commit.
void Session::State::close_segment() {
  if (!segment) return;
  flush_log();
  if (segment->log) unsynced_logs.push_back(std::move(*segment->log));
  store.window.settle(segment->entry);
  if (!segment->synced) unsynced.push_back(std::move(segment->file));
  segment.reset();
}

// The disk is full: what was written before still counts, what was torn is never named, and nothing follows it.
Status Session::State::close_torn_segment(Error error, std::size_t packed_bytes) {
  if (error.fault != Fault::kStoreFull) return store.over(std::move(error));
  SegmentFacts& facts = content.segments().at(segment->number);
  // One that never held a block may go at once; of any other the window may have chunks, or a session a pin.
  if (facts.named || facts.end > 0) {
    const std::uint64_t torn_bytes = packed_bytes + seal::kTagBytes;  // at most
    facts.file_bytes += torn_bytes;
    segment->entry.bytes += torn_bytes;
    store.used += torn_bytes;
    close_segment();
  } else {
    const std::uint32_t number = segment->number;
    SegmentEntry& entry = segment->entry;
    segment.reset();
    if (Status status = store.remove_segment(entry); !status) return status;
    content.segments().erase(number);
  }
  return error;
}

Status Session::State::read(std::uint64_t number, Bytes into) {
  const BlockFacts& block = content.blocks().at(number);
  const Place& place = content.place_of(number);
  if (!reader || reader->number() != place.segment) {
    auto opened =
        SegmentReader::open(store.folder, store.keys, id, place.segment, content.segments().at(place.segment).check);
    if (!opened) return opened.take_error();
    reader.emplace(std::move(*opened));
  }
  return reader->read(block, place.at, into);
}

Status Session::append(const BlockFacts& block, ConstBytes packed, std::span<const ChunkFacts> chunks) {
  return state_->append(block, packed, chunks);
}
void Session::set_scope(const Scope& scope) { state_->scope = scope; }
bool Session::pin(const BlockPlace& place, std::uint64_t number) { return state_->pin(place, number); }
bool Session::has_room(std::size_t packed_bytes) const { return state_->room_for(packed_bytes).ok(); }
void Session::truncate(std::uint64_t number) {
  state_->content.truncate(number);
  state_->pending.truncate(number);
  state_->changed = true;
}
void Session::set_note(Note note, ConstBytes value) {
  state_->content.notes[note].assign(value.begin(), value.end());
  state_->pending.note(note, value);
  state_->changed = true;
}
std::optional<std::vector<std::byte>> Session::note(Note note) const {
  const auto found = state_->content.notes.find(note);
  if (found == state_->content.notes.end()) return {};
  return found->second;
}
Status Session::commit() { return state_->commit(); }
Status Session::checkpoint(std::uint64_t number, ConstBytes state) { return state_->checkpoint(number, state); }
std::uint64_t Session::first_number() const { return state_->content.first(); }
const std::vector<std::byte>& Session::checkpoint_state() const { return state_->content.state(); }
const std::map<std::uint64_t, BlockFacts>& Session::blocks() const { return state_->content.blocks(); }
Status Session::read(std::uint64_t number, Bytes into) { return state_->read(number, into); }

}  // namespace zferry::store
