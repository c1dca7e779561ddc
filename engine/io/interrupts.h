// Interrupts: SIGINT and SIGTERM, brought to the loop through a pipe. A signal handler rather than signalfd, so that
// threads which were started earlier need no signal mask. One at a time in a process.
#pragma once

#include <signal.h>

#include <functional>
#include <memory>

#include "base/unique_fd.h"
#include "io/posix_loop.h"

namespace zferry::io {

class Interrupts {
 public:
  Interrupts(PosixLoop& loop, std::function<void(int)> handler);
  ~Interrupts();  // the signals do what they did before

 private:
  void wait();

  PosixLoop& loop_;
  std::function<void(int)> handler_;
  UniqueFd read_end_;
  UniqueFd write_end_;
  struct sigaction old_int_ {};
  struct sigaction old_term_ {};
  Driver::OpId waiting_ = 0;
};

}  // namespace zferry::io
