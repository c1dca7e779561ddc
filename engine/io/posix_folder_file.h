// PosixFolderFile: one file of a PosixFolder. Any thread, one call at a time.
#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "io/folder.h"

namespace zferry::io {

class PosixFolderFile final : public FolderFile {
 public:
  // `path`: for errors. `bytes`: its length now.
  PosixFolderFile(UniqueFd fd, std::string path, std::uint64_t bytes, bool may_append)
      : fd_(std::move(fd)), path_(std::move(path)), bytes_(bytes), may_append_(may_append) {}
  Status append(ConstBytes bytes) override;
  Result<std::size_t> read(std::uint64_t at, Bytes into) override;
  Status sync() override;
  std::uint64_t bytes() const override { return bytes_; }

 private:
  UniqueFd fd_;
  std::string path_;
  std::uint64_t bytes_;  // of what append() took whole
  bool may_append_;
  std::optional<Error> append_failed_;  // the first error: each later call repeats it
  std::optional<Error> sync_failed_;
};

}  // namespace zferry::io
