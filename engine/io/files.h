// Files: standard input and output, an output file that appears whole or not at all, and the state folder.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "io/byte_stream.h"
#include "io/folder.h"

namespace zferry::io {

using StatusDone = std::function<void(Status)>;

// A file under a temporary name in the folder of its final one. Destroyed before commit() was called: the temporary
// file goes, whatever was there under the final name stays.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual ByteStream& stream() = 0;
  // fsync, rename to the final name, fsync the folder; off the loop's thread. Errors: kOutputFailed.
  virtual void commit(StatusDone done) = 0;
};

// Small named records that survive a crash: completion records, outcome markers. Names are [a-z0-9-.] only, at most 100
// bytes; a record is at most 64 KiB.
class StateFolder {
 public:
  virtual ~StateFolder() = default;
  // Makes the folder where it is missing (0700) and shows that it can be written. Errors: kStateFailed.
  virtual Status prepare() = 0;
  // Nothing when there is no such record. Errors: kStateFailed.
  virtual Result<std::optional<std::vector<std::byte>>> load(const std::string& name) = 0;
  // Temporary file, fsync, rename, fsync the folder. Errors: kStateFailed.
  virtual Status save(const std::string& name, ConstBytes record) = 0;
  // No error when it is not there.
  virtual Status remove(const std::string& name) = 0;
};

class Files {
 public:
  virtual ~Files() = default;
  virtual Result<std::unique_ptr<ByteStream>> standard_input() = 0;
  virtual Result<std::unique_ptr<ByteStream>> standard_output() = 0;
  // Errors: kOutputFailed.
  virtual Result<std::unique_ptr<OutputFile>> create(const std::string& path) = 0;
  // The length of the regular file at this path; nothing where there is none.
  virtual std::optional<std::uint64_t> file_bytes(const std::string& path) = 0;
  // For a store; nothing is touched yet. REQUIRES: this object outlives it.
  virtual std::unique_ptr<Folder> folder(const std::string& path) = 0;
  virtual StateFolder& state() = 0;
};

}  // namespace zferry::io
