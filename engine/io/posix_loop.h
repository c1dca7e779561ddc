// PosixLoop: timers, posted tasks and a driver, served by one thread. post() is for any thread, all else for the
// loop's.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"
#include "io/aside.h"
#include "io/driver.h"
#include "io/loop.h"

namespace zferry::io {

class PosixLoop final : public Loop {
 public:
  // Errors: kInternal, where not even an eventfd can be had.
  static Result<std::unique_ptr<PosixLoop>> create(std::unique_ptr<Driver> driver);
  ~PosixLoop() override;

  TimePoint now() const override;
  TimerId after(Duration delay, std::function<void()> fire) override;
  void cancel(TimerId id) override;
  void post(std::function<void()> task) override;

  void run();
  void stop() { stopped_ = true; }
  Driver& driver() { return *driver_; }
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

 private:
  PosixLoop(std::unique_ptr<Driver> driver, UniqueFd wake);
  void arm_wake();
  void run_tasks();
  void fire_timers();
  std::optional<Duration> patience();

  std::unique_ptr<Driver> driver_;
  std::shared_ptr<Mailbox> mailbox_;
  bool stopped_ = false;

  std::map<std::pair<TimePoint, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, TimePoint> deadlines_;
  TimerId last_timer_ = 0;

  UniqueFd wake_;  // an eventfd, for tasks from other threads
  std::atomic<std::thread::id> thread_;
  std::mutex mutex_;
  std::deque<std::function<void()>> posted_;  // under mutex_
  std::deque<std::function<void()>> batch_;
};

}  // namespace zferry::io
