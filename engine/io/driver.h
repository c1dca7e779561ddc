// Driver: the few things that the poll and io_uring back ends do differently: reading, writing, waiting for readiness.
// All else of the POSIX host (streams, sockets, children, files, timers) is shared code above this. All calls on the
// loop's thread.
#pragma once

#include <time.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"

namespace zferry::io {

// What decides how a descriptor may be read and written without ever blocking the loop.
enum class FdKind : std::uint8_t {
  kSocket,   // recv and send; O_NONBLOCK does not matter
  kOwnPipe,  // a description that is ours alone, with O_NONBLOCK
  kShared,   // a description that other processes share, so O_NONBLOCK is not ours to set: wait first, write at most
             // PIPE_BUF
  kFile,     // regular files and devices: always ready
};

class Driver {
 public:
  using OpId = std::uint64_t;             // never 0
  using Done = std::function<void(int)>;  // what the system call returned: a count or events, or -errno

  virtual ~Driver() = default;
  // Each starts an operation; `done` is called once from turn(), never from here. May be short of what was asked.
  // The descriptor stays open until the operation is done or cancelled, the memory until `done` is destroyed.
  virtual OpId read(int fd, FdKind kind, Bytes into, Done done) = 0;
  virtual OpId write(int fd, FdKind kind, ConstBytes from, Done done) = 0;
  virtual OpId wait_ready(int fd, short poll_events, Done done) = 0;
  // `done` will not be called; it is destroyed when the kernel has let go of the memory. The descriptor may be closed
  // at once. An id that is done or 0 is ignored.
  virtual void cancel(OpId id) = 0;
  // Waits until something completes or `timeout` is over (none: for ever), and calls what is due. May return early.
  virtual void turn(std::optional<Duration> timeout) = 0;
  // Cancels everything, and returns when the kernel holds no memory of ours any more.
  virtual void drain() = 0;
};

inline timespec to_timespec(Duration duration) {
  const auto ns = duration.count() < 0 ? 0 : duration.count();
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace zferry::io
