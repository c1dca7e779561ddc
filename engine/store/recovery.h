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
  std::uint64_t bytes() const;
};
struct StoreFiles {
  std::map<SessionId, SessionFiles> sessions;
  std::vector<std::string> unfinished;
  std::uint64_t other_bytes = 0;  // of "format"
};
Result<StoreFiles> list_files(io::Folder& folder, const StoreKeys& keys);

// The content that counts, of which every block has its bytes in `files`. Errors: kStoreFailed, damage.
Result<SessionContent> recover_session(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                       const SessionFiles& files);

// As the second half of it: that each block of a journal that was read has its bytes in `files`.
Status find_segments(const StoreKeys& keys, const SessionId& session, const SessionFiles& files,
                     SessionContent& content);

// Of a session's segments those that hold nothing that counts. REQUIRES: of recover_session().
std::vector<std::uint32_t> unneeded_segments(const SessionFiles& files, const SessionContent& content);

SessionSummary summary_of(const SessionId& id, const SessionContent& content);

}  // namespace zferry::store
