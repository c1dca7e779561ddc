// PosixChild: a producer or consumer that runs, and its end as a status. On the loop's thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "io/posix_loop.h"
#include "io/processes.h"

namespace zferry::io {

// Children that nobody waits for any more, to be reaped when there is occasion.
using Abandoned = std::vector<pid_t>;

class PosixChild final : public Child {
 public:
  // Takes over a child that was just started, not waited for yet. `abandoned` gets its number when nobody else reaps
  // it.
  PosixChild(PosixLoop& loop, pid_t pid, std::unique_ptr<ByteStream> pipe, std::shared_ptr<Abandoned> abandoned);
  ~PosixChild() override;

  ByteStream& pipe() override;
  void close_pipe() override { pipe_.reset(); }
  void on_exit(std::function<void(ExitStatus)> done) override;
  void send_signal(int signal_number) override;

 private:
  void wait();
  void gone();

  PosixLoop& loop_;
  const pid_t pid_;
  UniqueFd pidfd_;  // readable when the child is gone; none on kernels before 5.3
  std::unique_ptr<ByteStream> pipe_;
  std::shared_ptr<Abandoned> abandoned_;
  std::shared_ptr<PosixChild*> self_;  // what a waiting thread's answer finds us by
  std::function<void(ExitStatus)> done_;
  Driver::OpId waiting_ = 0;
  bool watched_ = false;
  bool reaped_ = false;
};

}  // namespace zferry::io
