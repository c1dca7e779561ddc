// What a folder holds when it is opened: the store's own file, and what of its sessions counts. docs/STORE.md,
// "Recovery". Threading: one thread at a time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/folder.h"
#include "store/content.h"
#include "store/file_header.h"

namespace zferry::store {

// Reads the folder's "format"; makes one where the folder is empty and `random` is given.
Result<StoreKeys> open_format(io::Folder& folder, const seal::SecretBytes& key, RandomSource* random);

// The files of one session.
struct SessionFiles {
  std::optional<std::uint64_t> journal_bytes;  // nothing where it has no journal: then nothing of it counts
  std::map<std::uint32_t, std::uint64_t> segment_bytes;
  std::map<std::uint32_t, std::uint64_t> log_bytes;  // of the segments' chunks
  std::uint64_t bytes() const;
  // Whether the session itself has a use for it: its journal names it, or it is not there to be found by its chunks.
  bool is_own(const SessionContent& content, std::uint32_t segment) const;
  // Of the journal, and of the segments that are its own, with their chunks.
  std::uint64_t own_bytes(const SessionContent& content) const;
};
struct StoreFiles {
  std::map<SessionId, SessionFiles> sessions;
  std::vector<std::string> unfinished;
  std::uint64_t other_bytes = 0;   // of "format" and "window"
  std::uint64_t window_bytes = 0;  // of the latter
  bool has(const PinnedSegment& segment) const;
};
Result<StoreFiles> list_files(io::Folder& folder, const StoreKeys& keys);

// The content that counts, of which every block has its bytes in `files`. Errors: kStoreFailed, damage.
Result<SessionContent> recover_session(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                       const StoreFiles& files);

// As the second half of it: that each block of a journal that was read has its bytes in `files`, and each segment that
// it pins is there. REQUIRES: the session is in `files`.
Status find_segments(const StoreKeys& keys, const SessionId& session, const StoreFiles& files, SessionContent& content);

// Of a session's segments those that hold nothing that counts. REQUIRES: of recover_session().
std::vector<std::uint32_t> unneeded_segments(const SessionFiles& files, const SessionContent& content);

SessionSummary summary_of(const SessionId& id, const SessionContent& content);

}  // namespace zferry::store
