// Folder: a flat folder of files that only grow, with every call that crash safety needs: where a store lives. The real
// one, and the simulator's, which loses, tears and reorders what was not synced. docs/STORE.md.
//
// Threading: all calls block, on any thread, one at a time. Names are [a-z0-9-.] only, at most 100 bytes, not beginning
// with a dot; "lock" is the folder's own. Errors of every call: kStoreFull where the disk or a quota is full, else
// kStoreFailed; both name the file and give the system's words.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry::io {

class FolderFile {
 public:
  virtual ~FolderFile() = default;
  // All of it, at the end. After an error the file takes no more, each further call repeats it, and anything may lie
  // behind what was taken before; sync() still stands for that. REQUIRES: of create().
  virtual Status append(ConstBytes bytes) = 0;
  // Fewer bytes than asked for only where the file ends.
  virtual Result<std::size_t> read(std::uint64_t at, Bytes into) = 0;
  // Content and length are on disk: they survive a crash of the machine. After an error the content is lost, whatever a
  // second call would say: it is not to be tried again, each further append() and sync() repeats it. Also of open(): a
  // process that was killed may have left bytes that are there to be read but not on disk.
  virtual Status sync() = 0;
  virtual std::uint64_t bytes() const = 0;  // of create(): what was taken so far; of open(): the length then
};

struct FolderEntry {
  std::string name;
  std::uint64_t bytes = 0;
};

class Folder {
 public:
  virtual ~Folder() = default;  // gives the lock back
  // Makes the folder where it is missing (0700), and takes it for this process until the end of this object, or of the
  // process. Errors also: kBusy where another process has it.
  // REQUIRED for create(), rename(), remove() and sync().
  virtual Status lock() = 0;
  // By name; what has another sort of name, or is no regular file, is not ours and left out.
  virtual Result<std::vector<FolderEntry>> list() = 0;
  // New and empty. Survives a crash only after sync() of the folder. Errors also where the name is taken.
  virtual Result<std::unique_ptr<FolderFile>> create(const std::string& name) = 0;
  // To be read.
  virtual Result<std::unique_ptr<FolderFile>> open(const std::string& name) = 0;
  // Takes the place of `to` where that is there. In a crash before sync() either of the two stands.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  // No error when it is not there.
  virtual Status remove(const std::string& name) = 0;
  // What was created, renamed and removed so far survives a crash.
  virtual Status sync() = 0;
  // That this process may still use on the disk behind it.
  virtual Result<std::uint64_t> free_bytes() = 0;
  virtual std::string path() const = 0;
};

}  // namespace zferry::io
