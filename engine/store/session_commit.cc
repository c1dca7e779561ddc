// What makes a session's changes count: segments synced first, then the journal that names them. docs/STORE.md,
// "Commit".
#include <algorithm>

#include "store/file_names.h"
#include "store/state.h"

namespace zferry::store {
namespace {

// A journal is written anew when it is so much longer than what it says, and no less: its cost stays a share of what
// was written into it.
constexpr std::uint64_t kDeadBytes = 1 * limits::MiB;
constexpr std::uint64_t kPageFillMin =
    60 * limits::KiB;                      // of a page that another follows: no record is longer than half
constexpr std::size_t kPagesAtOnce = 8;    // held, when a journal is written anew
constexpr std::uint64_t kStateShare = 8;   // of the capacity, what a checkpoint may always take
constexpr std::uint64_t kNotesShare = 64;  // and what notes may grow by

std::uint64_t in_pages(std::uint64_t record_bytes) {
  return JournalWriter::bytes_of(record_bytes, record_bytes / kPageFillMin + 1);
}

std::uint64_t checkpoint_bytes(std::uint64_t state_bytes) {
  return state_bytes + (state_bytes / kPieceBytesMax + 1) * 5 + kCheckpointRecordBytes;
}

}  // namespace

std::uint64_t Session::State::journal_bytes_for(std::uint64_t state_bytes) const {
  std::uint64_t bytes = 11 + content.label.size() + checkpoint_bytes(state_bytes) + 1;
  for (const auto& [note, value] : content.notes) bytes += 6 + value.size();
  bytes += content.blocks().size() * kBlockRecordBytes + content.segments().size() * kSegmentRecordBytes +
           content.pins().size() * kPinRecordBytes;
  return kHeaderBytes + in_pages(bytes);
}

std::uint64_t Session::State::state_bytes_max() const {
  const std::uint64_t share = store.settings.capacity_bytes / kStateShare;
  return std::max<std::uint64_t>(std::min<std::uint64_t>(kCheckpointBytesMax, share), content.state().size());
}

std::uint64_t Session::State::journal_bytes_max() const {
  const std::uint64_t notes = std::min<std::uint64_t>(3 * kNoteBytesMax, store.settings.capacity_bytes / kNotesShare);
  return journal_bytes_for(state_bytes_max()) + kBlockRecordBytes + kSegmentRecordBytes + notes;
}

std::uint64_t Session::State::reserve_beside(std::uint64_t bytes) const {
  const std::uint64_t most = journal_bytes_max();
  return std::max(bytes, most) - bytes + most;
}

Result<Session::State::Way> Session::State::way_to_commit(bool with_checkpoint, std::uint64_t state_bytes) {
  const std::uint64_t anew = journal_bytes_for(state_bytes);
  const std::uint64_t more = JournalWriter::bytes_of(pending.bytes() + 1, pending.count() + 1) +
                             (with_checkpoint ? in_pages(checkpoint_bytes(state_bytes)) : 0);
  const std::uint64_t longer = journal_bytes + more;
  const std::uint64_t reserve = store.reserve() - reserve_beside(journal_bytes) + reserve_beside(longer);
  Result<bool> fits = false;
  if (journal && longer <= 2 * anew + kDeadBytes) fits = store.make_room_beside(reserve, more);
  if (!fits) return fits.take_error();
  if (*fits) return Way::kAppend;
  if (fits = store.make_room_beside(unwritten_chunks(), anew); !fits) return fits.take_error();
  if (*fits) return Way::kAnew;
  if (journal) fits = store.make_room_beside(unwritten_chunks(), more);
  if (!fits) return fits.take_error();
  if (*fits) return Way::kAppend;
  // The capacity has become less than what is there: only checkpoints make room.
  if (state_bytes <= state_bytes_max()) return Way::kAnew;
  return Error{Fault::kStoreFull, escaped(store.folder.path()) + ": no room for the session's journal", {}};
}

Status Session::State::commit() {
  if (Status status = store.usable(); !status) return status;
  if (!changed) return {};
  auto way = way_to_commit(false, content.state().size());
  if (!way) return way.take_error();
  return commit_by(*way);
}

Status Session::State::checkpoint(std::uint64_t number, ConstBytes state) {
  ZF_ASSERT(number >= content.first() && number <= content.next() && state.size() <= kCheckpointBytesMax);
  if (Status status = store.usable(); !status) return status;
  write_pins_again(number);
  auto way = way_to_commit(true, state.size());
  if (!way) return way.take_error();
  content.checkpoint(number, {state.begin(), state.end()});
  checkpoint_pending = true;
  return commit_by(*way);
}

Status Session::State::commit_by(Way way) {
  flush_log();
  Status status = sync_segments();
  if (status) status = way == Way::kAppend ? append_to_journal() : write_journal_anew();
  if (!status) return store.over(status.take_error());
  checkpoint_pending = false;
  changed = false;
  sync_logs();
  status = release_past_pins();
  if (status) status = remove_dead_segments();
  committed = summary();
  return status;
}

Status Session::State::sync_segments() {
  for (SealedFile& file : unsynced)
    if (Status status = file.sync(); !status) return status;
  unsynced.clear();
  if (segment && !segment->synced) {
    if (Status status = segment->file.sync(); !status) return status;
    segment->synced = true;
    segment->entry.synced = segment->file.bytes();
  }
  if (Status status = sync_pinned(); !status) return status;
  if (!folder_synced)
    if (Status status = store.folder.sync(); !status) return status;
  folder_synced = true;
  return {};
}

Status Session::State::append_to_journal() {
  const std::uint64_t before = journal->bytes();
  if (checkpoint_pending)
    if (Status status = write_checkpoint(*journal, pending); !status) return status;
  if (Status status = journal->commit(pending); !status) return status;
  journal_bytes = journal->bytes();
  store.used += journal_bytes - before;
  return {};
}

Status Session::State::write_journal_anew() {
  auto writer = JournalWriter::create(store.folder, store.keys, id, store.settings.cipher, store.random);
  if (!writer) return writer.take_error();
  Pages pages;
  if (Status status = write_content(*writer, pages); !status) return status;
  if (Status status = writer->commit(pages); !status) return status;
  if (Status status = writer->put_in_place(); !status) return status;
  pending.take();
  journal.emplace(std::move(*writer));
  store.used += journal->bytes();
  store.used -= std::min(store.used, journal_bytes);
  journal_bytes = journal->bytes();
  return {};
}

Status Session::State::write_content(JournalWriter& writer, Pages& pages) {
  pages.begin(content.begun_unix_s, content.label);
  for (const auto& [note, value] : content.notes) pages.note(note, value);
  if (content.first() > 0 || !content.state().empty())
    if (Status status = write_checkpoint(writer, pages); !status) return status;
  for (auto& [pinned, pin] : content.pins()) {
    pages.pin(pinned, pin.check, pin.number);
    pin.written = pin.number;
  }
  for (auto& [number, facts] : content.segments()) facts.named = false;
  for (const auto& [number, block] : content.blocks()) {
    const Place& place = content.place_of(number);
    SegmentFacts& facts = content.segments().at(place.segment);
    if (!std::exchange(facts.named, true)) pages.segment(place.segment, facts.check);
    pages.block(block, place);
    if (pages.count() < kPagesAtOnce) continue;
    if (Status status = writer.write(pages); !status) return status;
  }
  return {};
}

Status Session::State::write_checkpoint(JournalWriter& writer, Pages& pages) {
  const ConstBytes state = content.state();
  for (std::size_t at = 0; at < state.size(); at += kPieceBytesMax) {
    pages.piece(state.subspan(at, std::min(kPieceBytesMax, state.size() - at)));
    if (pages.count() < kPagesAtOnce) continue;
    if (Status status = writer.write(pages); !status) return status;
  }
  pages.checkpoint(content.first(), state.size());
  return {};
}

// The one that is being written stays, though nothing in it counts, where what is written next can be found beside it;
// unless there is no room for that.
Status Session::State::remove_dead_segments() {
  auto& segments = content.segments();
  for (auto it = segments.begin(); it != segments.end();) {
    const auto& [number, facts] = *it;
    const bool open = segment && segment->number == number;
    if (facts.blocks > 0 || (open && segment->log && store.room_for(store.settings.segment_bytes))) {
      ++it;
      continue;
    }
    SegmentEntry& entry = *store.segments.find(id, number);
    if (open) close_segment();
    if (reader && reader->number() == number) reader.reset();
    it = segments.erase(it);
    if (Status status = store.let_go(entry); !status) return status;
  }
  return {};
}

}  // namespace zferry::store
