#include "io/posix_files.h"
#include "base/limits.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/limits.h"
#include "io/fd_stream.h"
#include "io/output_file.h"

namespace zferry::io {

namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// A descriptor of our own for what `fd` was; /dev/null takes its number.
UniqueFd adopt(int fd, int flags) {
  UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  const UniqueFd null(::open("/dev/null", flags | O_CLOEXEC));
  if (own && null) ::dup2(null.get(), fd);
  return own;
}

FdKind kind_of(mode_t mode) {
  if (S_ISSOCK(mode)) return FdKind::kSocket;
  if (S_ISREG(mode) || S_ISBLK(mode) || S_ISCHR(mode)) return FdKind::kFile;
  return FdKind::kShared;
}

// The same pipe through a description of our own, which may have O_NONBLOCK. Not where /proc is missing, or where the
// pipe belongs to another user (sudo): then it stays shared.
UniqueFd reopened(int fd) {
  return UniqueFd(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
}

}  // namespace

StandardFacts find_standard_facts() {
  StandardFacts facts;
  facts.input_open = is_open(STDIN_FILENO);
  facts.output_open = is_open(STDOUT_FILENO);
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    if (!is_open(fd)) [[maybe_unused]]
      const int filled = ::open("/dev/null", O_RDWR);  // takes the lowest, which is this one
  }
  const mode_t mask = ::umask(077);
  ::umask(mask);
  facts.new_file_mode = 0666 & ~mask;
  return facts;
}

Result<std::unique_ptr<ByteStream>> PosixFiles::standard_input() {
  if (!facts_.input_open) return Error{Fault::kUsage, "standard input is closed", "pipe a stream into zferry"};
  if (::isatty(STDIN_FILENO)) {
    return Error{Fault::kUsage, "standard input is a terminal: no stream comes from there",
                 "pipe one into zferry (zfs send ... | zferry send ...), or give the command after --"};
  }
  facts_.input_open = false;
  struct stat facts;
  if (::fstat(STDIN_FILENO, &facts) != 0) return errno_error(Fault::kInputFailed, "standard input", errno);
  UniqueFd fd = adopt(STDIN_FILENO, O_RDONLY);
  if (!fd) return errno_error(Fault::kInputFailed, "standard input", errno);
  StreamTraits traits{kind_of(facts.st_mode), false, false, "standard input"};
  return std::unique_ptr<ByteStream>(std::make_unique<FdStream>(loop_, std::move(fd), std::move(traits)));
}

Result<std::unique_ptr<ByteStream>> PosixFiles::standard_output() {
  if (!facts_.output_open) return Error{Fault::kUsage, "standard output is closed", "pipe zferry into a consumer"};
  if (::isatty(STDOUT_FILENO)) {
    return Error{Fault::kUsage, "refusing to write a stream to a terminal",
                 "pipe zferry into a consumer, or give its command after --"};
  }
  facts_.output_open = false;
  struct stat facts;
  if (::fstat(STDOUT_FILENO, &facts) != 0) return errno_error(Fault::kOutputFailed, "standard output", errno);
  UniqueFd fd = adopt(STDOUT_FILENO, O_WRONLY);
  if (!fd) return errno_error(Fault::kOutputFailed, "standard output", errno);
  StreamTraits traits{kind_of(facts.st_mode), false, S_ISFIFO(facts.st_mode), "standard output"};
  if (S_ISFIFO(facts.st_mode)) {
    if (UniqueFd own = reopened(fd.get())) {
      fd = std::move(own);
      traits.kind = FdKind::kOwnPipe;
    }
    // As long as a child's pipe, while it is empty: growing one that holds data can deadlock.
    int waiting = 0;
    if (::ioctl(fd.get(), FIONREAD, &waiting) == 0 && waiting == 0)
      ::fcntl(fd.get(), F_SETPIPE_SZ, static_cast<int>(1 * limits::MiB));
  }
  return std::unique_ptr<ByteStream>(std::make_unique<FdStream>(loop_, std::move(fd), std::move(traits)));
}

Result<std::unique_ptr<OutputFile>> PosixFiles::create(const std::string& path) {
  return PosixOutputFile::create(loop_, path, facts_.new_file_mode);
}

std::optional<std::uint64_t> PosixFiles::file_bytes(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(facts.st_size);
}

}  // namespace zferry::io
