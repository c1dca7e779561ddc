// Loop: a host's clock and timers, and the one thread on which everything of a session happens, work on whole blocks
// excepted.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace zferry::io {

using TimerId = std::uint64_t;  // never 0

class Loop {
 public:
  virtual ~Loop() = default;
  virtual TimePoint now() const = 0;
  // Calls `fire` once, at or after now() + delay.
  virtual TimerId after(Duration delay, std::function<void()> fire) = 0;
  // An id that has fired, was cancelled or is 0 is ignored.
  virtual void cancel(TimerId id) = 0;
  // Calls `task` soon, on the loop's thread, in the order of posting. The one call that any thread may make.
  virtual void post(std::function<void()> task) = 0;
};

}  // namespace zferry::io
