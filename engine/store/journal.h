// A session's journal as a file: pages of records, sealed, in commits. docs/STORE.md, "Journal". The writer and its
// mirror. Threading: one thread at a time each.
#pragma once

#include <memory>
#include <string>

#include "io/folder.h"
#include "store/content.h"
#include "store/file_header.h"
#include "store/journal_page.h"
#include "store/records.h"
#include "store/sealed_file.h"

namespace zferry::store {

class JournalWriter {
 public:
  // Under its new name. The folder and the keys outlive it.
  static Result<JournalWriter> create(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                      seal::Cipher cipher, RandomSource& random);
  // All of `pages`, which is empty then. Nothing of it counts yet.
  Status write(Pages& pages);
  // `pages` and all written before counts once this returns: synced.
  Status commit(Pages& pages);
  // In place of the session's journal before it; survives a crash. Once, after the first commit().
  Status put_in_place();
  std::uint64_t bytes() const { return file_.bytes(); }
  // What `page_bytes` of records in `pages` pages take in the file.
  static std::uint64_t bytes_of(std::uint64_t page_bytes, std::uint64_t pages) {
    return page_bytes + pages * (kPageHeaderBytes + seal::kTagBytes);
  }

 private:
  JournalWriter(SealedFile file, io::Folder& folder, std::string new_name, std::string name);

  SealedFile file_;
  io::Folder* folder_;
  std::string new_name_;
  std::string name_;
  std::uint64_t commit_ = 1;
};

// The committed content. A tail that a crash tore off is left out. Errors: kStoreFailed: damage: of the header, the
// first commit, or any commit that has another behind it; or it cannot be read.
Result<SessionContent> read_journal(io::Folder& folder, const StoreKeys& keys, const SessionId& session);

}  // namespace zferry::store
