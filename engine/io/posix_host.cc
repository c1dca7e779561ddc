#include "io/posix_host.h"

#include <signal.h>

#include <utility>

#include "io/interrupts.h"
#include "io/poll_driver.h"
#include "io/posix_files.h"
#include "io/posix_loop.h"
#include "io/posix_network.h"
#include "io/posix_processes.h"
#include "io/uring_driver.h"

namespace zferry::io {

namespace {

class HostOfThisMachine final : public PosixHost {
 public:
  HostOfThisMachine(std::unique_ptr<PosixLoop> loop, StandardFacts facts, std::string state_folder, std::string name)
      : loop_(std::move(loop)),
        network_(*loop_),
        processes_(*loop_),
        files_(*loop_, facts, std::move(state_folder)),
        name_(std::move(name)) {}

  Loop& loop() override { return *loop_; }
  Network& network() override { return network_; }
  Processes& processes() override { return processes_; }
  Files& files() override { return files_; }
  std::string backend_name() const override { return name_; }
  void on_interrupt(std::function<void(int)> handler) override {
    interrupts_.reset();
    interrupts_ = std::make_unique<Interrupts>(*loop_, std::move(handler));
  }
  void run() override { loop_->run(); }
  void stop() override { loop_->stop(); }

 private:
  std::unique_ptr<PosixLoop> loop_;  // first made, last to go: all others use it
  PosixNetwork network_;
  PosixProcesses processes_;
  PosixFiles files_;
  std::unique_ptr<Interrupts> interrupts_;
  const std::string name_;
};

}  // namespace

Result<std::unique_ptr<PosixHost>> PosixHost::create(const PosixHostSettings& settings) {
  ::signal(SIGPIPE, SIG_IGN);
  // Whoever started us may have had SIGCHLD ignored, which is inherited, and would make the children's statuses vanish.
  ::signal(SIGCHLD, SIG_DFL);
  const StandardFacts facts = find_standard_facts();

  std::unique_ptr<Driver> driver;
  std::string name = "poll";
  if (settings.backend != Backend::kPoll) {
    auto uring = make_uring_driver();
    if (uring.ok()) {
      driver = std::move(*uring);
      name = "io_uring";
    } else if (settings.backend == Backend::kUring) {
      return uring.take_error();
    } else {
      name += " (" + uring.error().what + ")";
    }
  }
  if (driver == nullptr) driver = std::make_unique<PollDriver>();
  auto loop = PosixLoop::create(std::move(driver));
  if (!loop.ok()) return loop.take_error();
  return std::unique_ptr<PosixHost>(
      std::make_unique<HostOfThisMachine>(std::move(*loop), facts, settings.state_folder, std::move(name)));
}

}  // namespace zferry::io
