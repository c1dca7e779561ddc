// PosixHost: this machine as the engine sees it, over io_uring or poll. One per process, used from the thread that
// calls run().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/files.h"
#include "io/loop.h"
#include "io/network.h"
#include "io/processes.h"

namespace zferry::io {

enum class Backend { kAuto, kUring, kPoll };

struct PosixHostSettings {
  Backend backend = Backend::kAuto;
  std::string state_folder;  // made by StateFolder::prepare()
};

class PosixHost {
 public:
  virtual ~PosixHost() = default;
  // kAuto takes io_uring where ring and opcodes work, else poll. Errors: kUsage where io_uring was asked for and is not
  // to be had.
  static Result<std::unique_ptr<PosixHost>> create(const PosixHostSettings& settings);

  virtual Loop& loop() = 0;
  virtual Network& network() = 0;
  virtual Processes& processes() = 0;
  virtual Files& files() = 0;
  // "io_uring" or "poll", and why where kAuto had to fall back.
  virtual std::string backend_name() const = 0;
  // SIGINT and SIGTERM come to `handler` on the loop instead of ending the process. SIGPIPE is ignored.
  virtual void on_interrupt(std::function<void(int)> handler) = 0;
  // Serves the loop until stop() is called from it.
  virtual void run() = 0;
  virtual void stop() = 0;
};

}  // namespace zferry::io
