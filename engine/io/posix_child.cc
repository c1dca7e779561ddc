#include "io/posix_child.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace zferry::io {

namespace {

// pidfd_open(2); by number, as older C libraries have no name for it.
int open_pidfd(pid_t pid) {
  if (std::getenv("ZFERRY_TEST_NO_PIDFD") != nullptr) return -1;
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

ExitStatus decoded(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {true, WTERMSIG(wait_status)};
  return {false, WEXITSTATUS(wait_status)};
}

}  // namespace

PosixChild::PosixChild(PosixLoop& loop, pid_t pid, std::unique_ptr<ByteStream> pipe,
                       std::shared_ptr<Abandoned> abandoned)
    : loop_(loop),
      pid_(pid),
      pidfd_(open_pidfd(pid)),
      pipe_(std::move(pipe)),
      abandoned_(std::move(abandoned)),
      self_(std::make_shared<PosixChild*>(this)) {}

PosixChild::~PosixChild() {
  loop_.driver().cancel(waiting_);
  pipe_.reset();
  if (reaped_) return;
  send_signal(SIGTERM);
  if (::waitpid(pid_, nullptr, WNOHANG) == 0) abandoned_->push_back(pid_);
}

ByteStream& PosixChild::pipe() {
  ZF_ASSERT(pipe_ != nullptr);
  return *pipe_;
}

void PosixChild::on_exit(std::function<void(ExitStatus)> done) {
  ZF_ASSERT(!watched_);
  watched_ = true;
  done_ = std::move(done);
  wait();
}

void PosixChild::wait() {
  if (pidfd_) {
    waiting_ = loop_.driver().wait_ready(pidfd_.get(), POLLIN, [this](int) {
      waiting_ = 0;
      gone();
    });
    return;
  }
  // The thread looks but does not reap, so the number stays the child's until gone() takes it.
  run_aside(loop_.mailbox(), [weak = std::weak_ptr(self_), pid = pid_]() -> std::function<void()> {
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    return [weak] {
      if (const auto self = weak.lock()) (*self)->gone();
    };
  });
}

void PosixChild::gone() {
  int wait_status = 0;
  const pid_t result = ::waitpid(pid_, &wait_status, WNOHANG);
  if (result == 0) return wait();
  reaped_ = true;
  // A child whose status somebody else took is no success.
  const ExitStatus status = result == pid_ ? decoded(wait_status) : ExitStatus{false, 255};
  const auto done = std::exchange(done_, nullptr);
  done(status);
}

void PosixChild::send_signal(int signal_number) {
  // To its whole process group, as a terminal would. Until it is reaped the number cannot be anyone else's.
  if (!reaped_) ::kill(-pid_, signal_number);
}

}  // namespace zferry::io
