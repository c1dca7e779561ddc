// The output file: temporary until it is committed; a device or named pipe is written straight into. On the loop's
// thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "io/fd_stream.h"
#include "io/files.h"

namespace zferry::io {

class PosixOutputFile final : public OutputFile {
 public:
  // `mode`: what a new file of this process gets. Errors: kOutputFailed.
  static Result<std::unique_ptr<OutputFile>> create(PosixLoop& loop, const std::string& path, mode_t mode);
  ~PosixOutputFile() override;
  ByteStream& stream() override { return *stream_; }
  void commit(StatusDone done) override;

 private:
  PosixOutputFile(PosixLoop& loop, std::string path, std::string temporary, mode_t mode, UniqueFd fd, FdKind kind);

  PosixLoop& loop_;
  const std::string path_;
  const std::string temporary_;  // empty: written straight into `path_`
  const mode_t mode_;
  std::unique_ptr<FdStream> stream_;
  bool committed_ = false;
  std::shared_ptr<StatusDone> done_;  // ours alone: gone with us, and then the answer finds nobody
};

}  // namespace zferry::io
