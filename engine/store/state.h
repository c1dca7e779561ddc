// What a Store and a Session keep. Private to store.cc, session.cc and session_commit.cc. Threading: as store.h.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "store/content.h"
#include "store/journal.h"
#include "store/recovery.h"
#include "store/sealed_file.h"
#include "store/segment.h"
#include "store/store.h"

namespace zferry::store {

struct Store::State {
  io::Folder& folder;
  StoreKeys keys;
  StoreSettings settings;
  RandomSource& random;
  std::optional<Error> failure;  // the store is over
  std::uint64_t used = 0;        // of all files
  std::map<SessionId, SessionSummary> known{};
  std::map<SessionId, Session::State*> live{};

  // What cannot be known any more must not be built on: every later call that writes says so.
  Error over(Error error);
  Status usable() const;
  // Kept free so that the journals of the sessions in use can always be written anew.
  std::uint64_t reserve() const;
  Status remove_segment(const SessionId& id, std::uint32_t number, std::uint64_t bytes);
};

struct Session::State {
  struct OpenSegment {
    std::uint32_t number;
    SealedFile file;
    bool synced = true;
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
  bool folder_synced = true;           // since the last segment was made
  std::uint32_t next_segment = 1;
  std::optional<SegmentReader> reader{};

  SessionSummary summary() const;
  Status room_for(std::size_t packed_bytes) const;
  Status append(const BlockFacts& block, ConstBytes packed);
  Status read(std::uint64_t number, Bytes into);
  Status commit();
  Status checkpoint(std::uint64_t number, ConstBytes state);
  // What was read back, into a journal of its own: from then on it is durable, whatever became of the last sync of the
  // run before.
  Status take_over() { return commit_by(Way::kAnew); }

  // Of a journal with this content alone and a state so long.
  std::uint64_t journal_bytes_for(std::uint64_t state_bytes) const;
  // Of a journal that can become necessary, with room for one block more.
  std::uint64_t journal_bytes_max() const;
  // What a checkpoint finds room for, however full it is.
  std::uint64_t state_bytes_max() const;
  // Beside a journal so long: that it may grow to the longest, and the longest be written beside it.
  std::uint64_t reserve_beside(std::uint64_t bytes) const;

 private:
  enum class Way : std::uint8_t { kAppend, kAnew };
  Result<Way> way_to_commit(bool with_checkpoint, std::uint64_t state_bytes) const;
  Status commit_by(Way way);
  Status open_segment();
  Status close_torn_segment(Error error, std::size_t packed_bytes);
  Status sync_segments();
  Status append_to_journal();
  Status write_journal_anew();
  Status write_content(JournalWriter& writer, Pages& pages);
  Status write_checkpoint(JournalWriter& writer, Pages& pages);
  Status remove_dead_segments();
};

}  // namespace zferry::store
