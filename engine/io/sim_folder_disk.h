// The part of a simulated disk that folders are on: their files and names, synced or not, the faults of its calls, and
// what a loss of power leaves. Survives the runs of its host. Single-threaded.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "io/sim_core.h"
#include "io/sim_disk_file.h"

namespace zferry::io {

enum class SimFolderCallKind : std::uint8_t {
  kLock,
  kList,
  kCreate,
  kOpen,
  kAppend,
  kRead,
  kSyncFile,
  kRename,
  kRemove,
  kSyncFolder,
  kFreeBytes,
};
inline constexpr std::size_t kSimFolderCallKinds = 11;
const char* name_of(SimFolderCallKind kind);

struct SimFolderCall {
  enum class Moment : std::uint8_t {
    kBefore,  // nothing of it has happened
    kAmid,    // of append() alone: some of the bytes, maybe none, maybe all, are written
    kAfter,   // all of it has, or it has failed
  };
  SimFolderCallKind kind = SimFolderCallKind::kLock;
  Moment moment = Moment::kBefore;
  std::uint64_t number = 0;  // of all calls, from 1, over all runs
  std::string name;          // of the file, as it was created or opened
};

struct SimFolderFault {
  std::optional<SimFolderCallKind> kind{};  // nothing: any
  std::uint64_t number = 1;                 // of that kind's calls, from 1, over all runs: compare calls()
  std::uint64_t count = 1;                  // so many fail from there on
  bool full = false;                        // ENOSPC; else EIO
};

// One folder: what processes see, and what is on disk.
class SimDiskFolder {
 public:
  using Names = std::map<std::string, std::shared_ptr<SimDiskFile>>;
  const Names& names() const { return names_; }
  // Exactly one of them may be empty: `from` for a creation, `to` for a removal.
  void change(const std::string& from, const std::string& to, std::shared_ptr<SimDiskFile> file, SimRemains& remains);
  void sync();
  bool synced() const { return changes_.empty(); }
  // Each change since the last sync() has happened or not, those of one name in their order; the content of the files
  // knows nothing of that.
  void lose_power(SeededRandom& random, SimRemains& remains);

  bool made = false;
  SimLifeRef holder;  // of the lock

 private:
  struct Change {
    std::string from, to;
    std::shared_ptr<SimDiskFile> file;
  };
  static void apply(const Change& change, Names& names);

  Names names_;
  Names synced_names_;
  std::vector<Change> changes_;
};

class SimFolderDisk {
 public:
  // For tests, to set.
  std::uint64_t capacity_bytes = std::uint64_t{1} << 40;
  std::vector<SimFolderFault> faults;
  std::function<void(const SimFolderCall&)> on_call;  // the place for SimHost::crash(), or for looking
  // Of all kinds, or of one, over all runs.
  std::uint64_t calls() const { return calls_; }
  std::uint64_t calls(SimFolderCallKind kind) const { return calls_of_[static_cast<std::size_t>(kind)]; }
  std::map<std::string, SimDiskFolder>& folders() { return folders_; }
  // The content of a file; nullptr where there is none.
  std::vector<std::byte>* content(const std::string& folder, const std::string& name);
  std::uint64_t used_bytes() const;
  std::uint64_t free_bytes() const;

  // For the back end. Counts a call; errno's number where a fault has it fail.
  int count(SimFolderCallKind kind);
  void tell(SimFolderCallKind kind, SimFolderCall::Moment moment, const std::string& name);
  SimRemains& remains() { return remains_; }
  void lose_power(SeededRandom& random);

 private:
  std::map<std::string, SimDiskFolder> folders_;  // by path
  SimRemains remains_;
  std::uint64_t calls_ = 0;
  std::array<std::uint64_t, kSimFolderCallKinds> calls_of_{};
};

}  // namespace zferry::io
