// SimFolder: a folder of a simulated disk, for one run of its host. Calls take no virtual time. Single-threaded.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/folder.h"
#include "io/sim_core.h"
#include "io/sim_folder_disk.h"

namespace zferry::io {

// A call of one run on its disk: counted, told to the test, and maybe failed. Nothing is done for a run that is over.
class SimFolderCalls {
 public:
  SimFolderCalls(SimCore& core, SimLifeRef life, SimFolderDisk& disk, std::string path)
      : core_(core), life_(std::move(life)), disk_(disk), path_(std::move(path)) {}
  // The errno that the call has to fail with, 0 for none, or the Error of a run that is over.
  Result<int> begin(SimFolderCallKind kind, const std::string& name = {});
  Status amid(SimFolderCallKind kind, const std::string& name);
  // `error_number`: what it fails with, or 0.
  Status end(SimFolderCallKind kind, const std::string& name = {}, int error_number = 0);
  Error error(SimFolderCallKind kind, const std::string& name, int error_number) const;

  SeededRandom& random() { return core_.random(); }
  SimFolderDisk& disk() { return disk_; }
  SimDiskFolder& folder() { return disk_.folders()[path_]; }
  const SimLifeRef& life() const { return life_; }
  const std::string& path() const { return path_; }

 private:
  Status alive() const;

  SimCore& core_;
  SimLifeRef life_;
  SimFolderDisk& disk_;
  std::string path_;
};

class SimFolder final : public Folder {
 public:
  SimFolder(SimCore& core, SimLifeRef life, SimFolderDisk& disk, std::string path)
      : calls_(core, std::move(life), disk, std::move(path)) {}
  ~SimFolder() override;
  Status lock() override;
  Result<std::vector<FolderEntry>> list() override;
  Result<std::unique_ptr<FolderFile>> create(const std::string& name) override;
  Result<std::unique_ptr<FolderFile>> open(const std::string& name) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& name) override;
  Status sync() override;
  Result<std::uint64_t> free_bytes() override;
  std::string path() const override { return calls_.path(); }

 private:
  SimFolderCalls calls_;
  bool locked_ = false;
  std::optional<Error> sync_failed_;
};

}  // namespace zferry::io
