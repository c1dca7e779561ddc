// PosixFolder: a folder of the file system as a Folder, by calls on its descriptor. Any thread, one call at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "io/folder.h"

namespace zferry::io {

class PosixFolder final : public Folder {
 public:
  explicit PosixFolder(std::string path);
  // Makes the folder itself, not the ones above it: where those are missing, a disk is likely not mounted. Refuses one
  // that is of another user, or that others may write to. Holds an flock() of the file "lock" in it.
  Status lock() override;
  Result<std::vector<FolderEntry>> list() override;
  Result<std::unique_ptr<FolderFile>> create(const std::string& name) override;
  Result<std::unique_ptr<FolderFile>> open(const std::string& name) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& name) override;
  Status sync() override;
  Result<std::uint64_t> free_bytes() override;
  std::string path() const override { return path_; }

 private:
  Status make();
  Status find();
  Status take(UniqueFd fd);
  // "list /store", "append to /store/journal"
  std::string words(const char* verb) const;
  std::string words(const char* verb, const std::string& name) const;

  std::string path_;
  UniqueFd folder_;
  UniqueFd lock_;
  std::optional<Error> sync_failed_;
};

}  // namespace zferry::io
