// A file of the store while it is written: a header, then entries, each sealed at its place. docs/STORE.md, "Files".
// Once closed it is never written again: there is no way to append under an old key. Threading: one thread at a time
// each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/folder.h"
#include "store/file_header.h"

namespace zferry::store {

class SealedFile {
 public:
  // A new file with its header. Errors: as the folder's; where there was one, the file is removed again.
  static Result<SealedFile> create(io::Folder& folder, const std::string& name, NewHeader header);

  // An entry: `clear` as it is, then `plain` sealed with clear and `associated` authenticated, in one write. Gives
  // where it begins, which is its nonce. REQUIRES: no call before has failed.
  Result<std::uint64_t> append(ConstBytes clear, ConstBytes associated, ConstBytes plain);
  Status sync() { return file_->sync(); }
  // As far as it was written whole.
  std::uint64_t bytes() const { return bytes_; }
  const Check& check() const { return check_; }

 private:
  SealedFile(std::unique_ptr<io::FolderFile> file, const NewHeader& header);

  std::unique_ptr<io::FolderFile> file_;
  seal::RestSealer sealer_;
  Check check_;
  std::uint64_t bytes_ = 0;
  std::vector<std::byte> entry_;       // room for the longest so far
  std::vector<std::byte> associated_;  // clear and associated
};

}  // namespace zferry::store
