// The simulated disk, and Files over it for one run of a host. What was committed or saved survives a crash, nothing
// else does; but see SimFolderDisk for folders. Single-threaded.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/files.h"
#include "io/sim_core.h"
#include "io/sim_folder.h"

namespace zferry::io {

// A host's disk: its content and its faults, for tests to look at and to set.
struct SimDisk {
  bool state_folder_made = false;
  std::map<std::string, std::vector<std::byte>> records;  // of the state folder
  std::map<std::string, std::vector<std::byte>> files;    // committed output files
  SimFolderDisk folders;                                  // of stores: here a crash may lose, tear and reorder

  bool prepare_fails = false;
  bool load_fails = false;
  std::uint64_t saves = 0;          // calls of save() so far, over all runs
  std::uint64_t save_fails_at = 0;  // this call of save() fails, counted from 1; 0: none
  bool create_fails = false;
  std::optional<std::uint64_t> full_after_bytes;  // an output file takes so many, then ENOSPC
  bool commit_fails = false;
  // The places for SimHost::crash(), or for looking. A crash before leaves nothing; a crash after leaves all of it.
  std::function<void(const std::string&name)> before_save, after_save, before_commit, after_commit;
};

class SimFiles final : public Files, private StateFolder {
 public:
  // Opens standard input (true) or output.
  using OpenStandard = std::function<std::unique_ptr<ByteStream>(bool input)>;
  SimFiles(SimCore& core, SimLifeRef life, SimDisk& disk, OpenStandard open)
      : core_(core), life_(std::move(life)), disk_(disk), open_standard_(std::move(open)) {}
  Result<std::unique_ptr<ByteStream>> standard_input() override;
  Result<std::unique_ptr<ByteStream>> standard_output() override;
  Result<std::unique_ptr<OutputFile>> create(const std::string& path) override;
  std::optional<std::uint64_t> file_bytes(const std::string& path) override {
    const auto file = disk_.files.find(path);
    return file == disk_.files.end() ? std::nullopt : std::optional<std::uint64_t>(file->second.size());
  }
  std::unique_ptr<Folder> folder(const std::string& path) override {
    return std::make_unique<SimFolder>(core_, life_, disk_.folders, path);
  }
  StateFolder& state() override { return *this; }

 private:
  Status prepare() override;
  Result<std::optional<std::vector<std::byte>>> load(const std::string& name) override;
  Status save(const std::string& name, ConstBytes record) override;
  Status remove(const std::string& name) override;
  Status check(const std::string& name) const;

  SimCore& core_;
  SimLifeRef life_;
  SimDisk& disk_;
  OpenStandard open_standard_;
};

}  // namespace zferry::io
