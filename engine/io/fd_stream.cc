#include "io/fd_stream.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/aside.h"
#include "io/tcp_facts.h"

namespace zferry::io {

FdStream::FdStream(PosixLoop& loop, UniqueFd fd, StreamTraits traits)
    : loop_(loop), fd_(std::move(fd)), traits_(std::move(traits)) {}

FdStream::~FdStream() {
  loop_.driver().cancel(reading_);
  loop_.driver().cancel(writing_);
}

void FdStream::read(Bytes into, SizeDone done) {
  ZF_ASSERT(reading_ == 0 && !into.empty());
  reading_ = loop_.driver().read(fd_.get(), traits_.kind, into, [this, done = std::move(done)](int result) {
    reading_ = 0;
    if (result >= 0) return done(static_cast<std::size_t>(result));
    done(errno_error(traits_.link ? Fault::kLinkLost : Fault::kInputFailed, "read from " + traits_.name, -result));
  });
}

void FdStream::write(ConstBytes from, SizeDone done) {
  ZF_ASSERT(writing_ == 0 && !shutdown_after_write_);
  write_rest(from, 0, std::move(done));
}

void FdStream::write_rest(ConstBytes from, std::size_t written_bytes, SizeDone done) {
  auto next = [this, from, written_bytes, done = std::move(done)](int result) mutable {
    writing_ = 0;
    written(result, from, written_bytes, std::move(done));
  };
  writing_ = loop_.driver().write(fd_.get(), traits_.kind, from.subspan(written_bytes), std::move(next));
}

// `done` is a copy of its own here: it may destroy the stream.
void FdStream::written(int result, ConstBytes from, std::size_t written_bytes, SizeDone done) {
  if (result == 0 && written_bytes < from.size()) result = -EIO;  // a device that takes nothing, without saying why
  if (result >= 0) {
    written_bytes += static_cast<std::size_t>(result);
    if (written_bytes < from.size()) return write_rest(from, written_bytes, std::move(done));
  }
  if (std::exchange(shutdown_after_write_, false)) shutdown_write();
  if (result >= 0) return done(written_bytes);
  done(errno_error(traits_.link ? Fault::kLinkLost : Fault::kOutputFailed, "write to " + traits_.name, -result));
}

void FdStream::shutdown_write() {
  if (!traits_.link) return;
  if (writing_ != 0) {
    shutdown_after_write_ = true;
  } else {
    ::shutdown(fd_.get(), SHUT_WR);
  }
}

void FdStream::sync(std::function<void(Status)> done) {
  struct stat facts {};
  if (::fstat(fd_.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return done({});
  syncing_ = std::make_shared<std::function<void(Status)>>(std::move(done));
  // A descriptor of its own: we may go while the thread works.
  const auto fd = std::make_shared<UniqueFd>(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
  auto work = [weak = std::weak_ptr(syncing_), fd, name = traits_.name]() -> std::function<void()> {
    Status status;
    if (!*fd || ::fsync(fd->get()) != 0) status = errno_error(Fault::kOutputFailed, "fsync " + name, errno);
    return [weak, status] {
      if (const auto to = weak.lock()) std::exchange(*to, nullptr)(status);
    };
  };
  run_aside(loop_.mailbox(), std::move(work));
}

std::optional<LinkFacts> FdStream::link_facts() const {
  if (!traits_.link) return std::nullopt;
  return tcp_facts(fd_.get());
}

void FdStream::wish(const LinkWishes& wishes) {
  if (traits_.link) tcp_wish(fd_.get(), wishes);
}

std::size_t FdStream::unread() const {
  int bytes = 0;
  // A pipe keeps its bytes while either end is open, so this holds after the reader has gone as well.
  if (!traits_.pipe || ::ioctl(fd_.get(), FIONREAD, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::size_t>(bytes);
}

}  // namespace zferry::io
