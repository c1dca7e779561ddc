#include "io/interrupts.h"

#include <fcntl.h>
#include <poll.h>

#include <atomic>
#include <cerrno>
#include <utility>

namespace zferry::io {

namespace {

std::atomic<int> signal_pipe{-1};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler uses it");

void on_signal(int signal_number) {
  const int saved = errno;
  const char byte = static_cast<char>(signal_number);
  [[maybe_unused]] const auto written = ::write(signal_pipe.load(), &byte, 1);  // full: enough of them are told already
  errno = saved;
}

}  // namespace

Interrupts::Interrupts(PosixLoop& loop, std::function<void(int)> handler) : loop_(loop), handler_(std::move(handler)) {
  int fds[2];
  ZF_ASSERT(signal_pipe.load() == -1);
  if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) return;  // without descriptors the signals simply end the process
  read_end_.reset(fds[0]);
  write_end_.reset(fds[1]);
  signal_pipe = write_end_.get();
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
  wait();
}

Interrupts::~Interrupts() {
  if (!read_end_) return;
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
  signal_pipe = -1;
  loop_.driver().cancel(waiting_);
}

void Interrupts::wait() {
  waiting_ = loop_.driver().wait_ready(read_end_.get(), POLLIN, [this](int) {
    waiting_ = 0;
    char byte = 0;
    const bool any = ::read(read_end_.get(), &byte, 1) == 1;
    wait();
    if (any) handler_(byte);
  });
}

}  // namespace zferry::io
