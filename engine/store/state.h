// What a Store and a Session keep. Private to the store's .cc files. Threading: as store.h.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "store/chunk_log.h"
#include "store/content.h"
#include "store/journal.h"
#include "store/recovery.h"
#include "store/sealed_file.h"
#include "store/segment.h"
#include "store/segment_table.h"
#include "store/store.h"
#include "store/window.h"

namespace zferry::store {

struct Store::State {
  struct OpenReader {
    const SegmentEntry* segment;
    SegmentReader reader;
  };

  io::Folder& folder;
  StoreKeys keys;
  StoreSettings settings;
  RandomSource& random;
  std::optional<Error> failure{};  // the store is over
  std::uint64_t used = 0;          // of all files
  std::map<SessionId, SessionSummary> known{};
  std::map<SessionId, Session::State*> live{};
  bool folder_synced = true;  // since the last segment was made
  SegmentTable segments{};
  std::map<SessionId, std::set<SegmentEntry*>> held{};  // by the pins of each session, in use or not
  // The window.
  Window window{folder, keys};
  std::list<OpenReader> readers{};  // what was used last comes first
  std::uint64_t generation = 0;     // of sessions that were begun
  Savings savings{};
  std::uint64_t window_file_bytes = 0;  // as it is on disk
  bool window_changed = false;          // since it was written

  // What cannot be known any more must not be built on: every later call that writes says so.
  Error over(Error error);
  Status usable() const;

  // ---- Room.
  // Kept free so that the journals of the sessions in use can always be written anew, and the window's file.
  std::uint64_t reserve() const;
  // kStoreFull where so many bytes more find none, though all that may go went.
  Status room_for(std::uint64_t bytes) const;
  // Removes segments of the window until they fit beside the reserve, and on the disk. kStoreFull leaves all as it is.
  Status make_room(std::uint64_t bytes);
  // As make_room(), beside so much alone, and whatever the disk has. False where it is full.
  Result<bool> make_room_beside(std::uint64_t reserved, std::uint64_t bytes);

  // ---- Segments.
  // No session's journal names a block in it any more: it becomes part of the window, where it may and there is room.
  Status let_go(SegmentEntry& entry, bool keep = true);
  // Of all that a session has, which is over.
  Status let_go_all(const SessionId& session, bool keep);
  // Its files, whatever is in them. REQUIRES: no pins.
  Status remove_segment(SegmentEntry& entry);
  void hold(const SessionId& session, SegmentEntry& entry);
  Status release(const SessionId& session, SegmentEntry& entry);
  // What the window, and what is pinned of it, leaves to blocks that come.
  std::uint64_t headroom() const;
  // All that the session holds but what `but` says it needs.
  Status release_all(const SessionId& session, const std::map<PinnedSegment, Pin>& but = {});

  // ---- Opening.
  Status take_in(const StoreFiles& files);
  Status take_in_window();
  // As far as there is room, and no failure counts.
  void write_down_window();

 private:
  Status take_in_session(const SessionId& id, const StoreFiles& files);
  bool wants_room() const;
};

struct Session::State {
  struct OpenSegment {
    std::uint32_t number;
    SealedFile file;
    bool synced = true;
    SegmentEntry& entry;
    std::optional<ChunkLog> log{};
  };

  Store::State& store;
  SessionId id;
  SessionContent content{};
  SessionSummary committed{};              // as the journal on disk has it
  std::optional<JournalWriter> journal{};  // nothing before the first commit of this opening
  std::uint64_t journal_bytes = 0;         // of the journal on disk, whoever wrote it; 0: there is none
  Pages pending{};                         // what happened since the last commit, but for
  bool checkpoint_pending = false;         // the content's checkpoint
  bool changed = false;
  std::optional<OpenSegment> segment{};
  std::vector<SealedFile> unsynced{};  // segments that are closed and not synced
  bool& folder_synced = store.folder_synced;
  std::uint32_t next_segment = 1;
  std::optional<SegmentReader> reader{};
  std::optional<Scope> scope{};
  std::vector<ChunkLog> unsynced_logs{};                   // of closed segments
  std::map<PinnedSegment, std::uint64_t> unsynced_pins{};  // how far they must be on disk

  SessionSummary summary() const;
  Status room_for(std::size_t packed_bytes) const;
  Status append(const BlockFacts& block, ConstBytes packed, std::span<const ChunkFacts> chunks);
  bool pin(const BlockPlace& place, std::uint64_t number);
  Status read(std::uint64_t number, Bytes into);
  Status commit();
  Status checkpoint(std::uint64_t number, ConstBytes state);
  // What was read back, into a journal of its own: from then on it is durable, whatever became of the last sync of the
  // run before.
  Status take_over() { return commit_by(Way::kAnew); }
  // Its chunks are written, as far as that goes.
  void close_segment();
  void sync_logs();

  // Of a journal with this content alone and a state so long.
  std::uint64_t journal_bytes_for(std::uint64_t state_bytes) const;
  // Of a journal that can become necessary, with room for one block more.
  std::uint64_t journal_bytes_max() const;
  // What a checkpoint finds room for, however full it is.
  std::uint64_t state_bytes_max() const;
  // Beside a journal so long: that it may grow to the longest, and the longest be written beside it.
  std::uint64_t reserve_beside(std::uint64_t bytes) const;
  // And what is not yet written of the chunks.
  std::uint64_t unwritten_chunks() const { return segment && segment->log ? segment->log->unwritten_bytes() : 0; }

 private:
  enum class Way : std::uint8_t { kAppend, kAnew };
  Result<Way> way_to_commit(bool with_checkpoint, std::uint64_t state_bytes);
  Status commit_by(Way way);
  Status open_segment();
  Status close_torn_segment(Error error, std::size_t packed_bytes);
  Status log_chunks(const BlockFacts& block, std::uint32_t at, std::span<const ChunkFacts> chunks);
  void flush_log();
  Status sync_segments();
  Status sync_pinned();
  void write_pins_again(std::uint64_t first);
  Status append_to_journal();
  Status write_journal_anew();
  Status write_content(JournalWriter& writer, Pages& pages);
  Status write_checkpoint(JournalWriter& writer, Pages& pages);
  Status release_past_pins();
  Status remove_dead_segments();
};

}  // namespace zferry::store
