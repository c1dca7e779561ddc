// Processes: the producer and the consumer as children: argv run directly, never through a shell, one pipe to or from
// us.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/byte_stream.h"

namespace zferry::io {

struct ExitStatus {
  bool by_signal = false;
  int number = 0;  // exit code, or the signal
  bool success() const { return !by_signal && number == 0; }
  // "exit code 1", "signal 9 (Killed)"
  std::string text() const;
};

enum class PipeEnd { kItsOutput, kItsInput };  // a producer's stdout, or a consumer's stdin

class Child {
 public:
  // Closes the pipe; a child that still runs is sent SIGTERM and left to the system to reap.
  virtual ~Child() = default;
  // The pipe to or from the child, until close_pipe(). Its other standard descriptors are ours (stdin of a producer:
  // /dev/null).
  virtual ByteStream& pipe() = 0;
  // The consumer reads an end; the producer gets SIGPIPE when it writes on.
  virtual void close_pipe() = 0;
  // Called once, from the loop, when the child is gone; at once (but from the loop) when it is gone already.
  virtual void on_exit(std::function<void(ExitStatus)> done) = 0;
  virtual void send_signal(int signal_number) = 0;
};

class Processes {
 public:
  virtual ~Processes() = default;
  // argv[0] is looked up in PATH where it has no slash. The pipe is made 1 MiB long where the system allows it, before
  // the child starts (growing one that holds data can deadlock). Signals are reset to their defaults in the child,
  // SIGPIPE too. Errors: kCannotRun, with the command's name and errno's words.
  virtual Result<std::unique_ptr<Child>> spawn(const std::vector<std::string>& argv, PipeEnd end) = 0;
};

}  // namespace zferry::io
