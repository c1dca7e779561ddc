// A disk in memory for tests of the store, and the Folder of one run on it: it can fail or end a run at any call, and
// loses what was not synced in a given way. Single-threaded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/folder.h"

namespace zferry::store {

// What becomes of unsynced bytes at the end of a file in a crash.
enum class Tail { kLost, kKept, kTorn, kZeros, kGarbage };
// What becomes of unsynced changes to the folder.
enum class Changes { kLost, kKept, kSome };

struct MemoryFile {
  std::vector<std::byte> content;
  std::size_t synced = 0;
};

class MemoryDisk {
 public:
  using Files = std::map<std::string, std::shared_ptr<MemoryFile>>;
  Files files;
  std::uint64_t free_bytes = std::uint64_t{1} << 40;
  std::uint64_t calls = 0;  // that change or sync anything
  // Errors to give: before the call with this number does anything, or, for an append, after a part of it.
  std::function<std::optional<Error>(std::uint64_t call, const std::string& what)> fault;
  std::vector<std::vector<std::byte>> headers;  // of every file that was ever begun: its first append
  std::vector<std::string> log;                 // "sync NAME", "append NAME", …

  void crash(Tail tail, Changes changes, SeededRandom& random);
  std::uint64_t used_bytes() const;

 private:
  friend class MemoryFolder;
  friend class MemoryFolderFile;
  struct Change {
    std::string from, to;
    std::shared_ptr<MemoryFile> file;
  };
  void change(Change change);
  static void apply(const Change& change, Files& files);

  Files synced_files_;
  std::vector<Change> changes_;
};

class MemoryFolder final : public io::Folder {
 public:
  explicit MemoryFolder(MemoryDisk& disk) : disk_(disk) {}
  Status lock() override { return {}; }
  Result<std::vector<io::FolderEntry>> list() override;
  Result<std::unique_ptr<io::FolderFile>> create(const std::string& name) override;
  Result<std::unique_ptr<io::FolderFile>> open(const std::string& name) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& name) override;
  Status sync() override;
  Result<std::uint64_t> free_bytes() override { return disk_.free_bytes; }
  std::string path() const override { return "/memory"; }

 private:
  friend class MemoryFolderFile;
  Status count(const std::string& what);

  MemoryDisk& disk_;
};

}  // namespace zferry::store
