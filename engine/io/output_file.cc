#include "io/output_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/durable.h"

namespace zferry::io {

namespace {

Error failed(const std::string& path, int error_number) {
  Error error = errno_error(Fault::kOutputFailed, "write " + escaped(path), error_number);
  error.next = "see to the space and permissions of its folder (df -h, ls -ld), or give another --out";
  return error;
}

// Where a symbolic link leads, so that the file behind it is replaced and not the link.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  return real ? std::string(real.get()) : path;
}

// On any thread. An empty `temporary`: `path` is a device or pipe, which may know no fsync.
Status commit_on_disk(int fd, const std::string& temporary, const std::string& path, mode_t mode) {
  if (temporary.empty()) {
    if (::fsync(fd) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP) return failed(path, errno);
    return {};
  }
  if (::fchmod(fd, mode) != 0 && errno != EPERM) {  // EPERM: a file system without modes
    const int error_number = errno;
    ::unlink(temporary.c_str());
    return failed(path, error_number);
  }
  if (const int error_number = commit_temporary(fd, temporary, path); error_number != 0) {
    return failed(path, error_number);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<OutputFile>> PosixOutputFile::create(PosixLoop& loop, const std::string& path, mode_t mode) {
  if (path.empty()) return Error{Fault::kOutputFailed, "write an output file: its name is empty", "give --out FILE"};
  struct stat facts;
  const bool exists = ::stat(path.c_str(), &facts) == 0;
  if (!exists && errno != ENOENT) return failed(path, errno);
  if (path.ends_with('/')) return failed(path, EISDIR);
  if (exists && S_ISDIR(facts.st_mode)) return failed(path, EISDIR);
  if (exists && !S_ISREG(facts.st_mode)) {
    // O_NONBLOCK: opening a named pipe must not wait for its reader.
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd && errno == ENXIO && S_ISFIFO(facts.st_mode)) {
      return Error{Fault::kOutputFailed, "write " + escaped(path) + ": nobody reads this pipe",
                   "start its reader first"};
    }
    if (!fd) return failed(path, errno);
    const FdKind kind = S_ISFIFO(facts.st_mode) ? FdKind::kOwnPipe : FdKind::kFile;
    return std::unique_ptr<OutputFile>(new PosixOutputFile(loop, path, "", mode, std::move(fd), kind));
  }
  const std::string final_path = exists ? real_path(path) : path;
  TemporaryFile file = create_temporary(final_path);
  if (!file.fd) return failed(path, errno);
  return std::unique_ptr<OutputFile>(
      new PosixOutputFile(loop, final_path, file.path, mode, std::move(file.fd), FdKind::kFile));
}

PosixOutputFile::PosixOutputFile(PosixLoop& loop, std::string path, std::string temporary, mode_t mode, UniqueFd fd,
                                 FdKind kind)
    : loop_(loop), path_(std::move(path)), temporary_(std::move(temporary)), mode_(mode) {
  StreamTraits traits{kind, false, kind == FdKind::kOwnPipe, path_};
  stream_ = std::make_unique<FdStream>(loop_, std::move(fd), std::move(traits));
}

PosixOutputFile::~PosixOutputFile() {
  if (!committed_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

void PosixOutputFile::commit(StatusDone done) {
  ZF_ASSERT(!committed_);
  committed_ = true;
  done_ = std::make_shared<StatusDone>(std::move(done));
  // A descriptor of its own: we may go while the thread works.
  const auto fd = std::make_shared<UniqueFd>(::fcntl(stream_->fd(), F_DUPFD_CLOEXEC, 3));
  auto work = [weak = std::weak_ptr(done_), fd, temporary = temporary_, path = path_,
               mode = mode_]() -> std::function<void()> {
    if (!*fd && !temporary.empty()) ::unlink(temporary.c_str());
    Status status = *fd ? commit_on_disk(fd->get(), temporary, path, mode) : Status(failed(path, EMFILE));
    return [weak, status] {
      if (const auto to = weak.lock()) std::exchange(*to, nullptr)(status);
    };
  };
  run_aside(loop_.mailbox(), std::move(work));
}

}  // namespace zferry::io
