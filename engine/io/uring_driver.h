// UringDriver: the driver over one io_uring. All calls on the thread that made it.
// An operation owns its `done`, and by it the buffer, from submission until its completion came back from the kernel.
#pragma once

#include <memory>

#include "base/result.h"
#include "io/driver.h"

namespace zferry::io {

// Errors: kUsage, with why there is no io_uring here. Built without liburing it always fails.
Result<std::unique_ptr<Driver>> make_uring_driver();

}  // namespace zferry::io
