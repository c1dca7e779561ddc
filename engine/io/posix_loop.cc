#include "io/posix_loop.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>

namespace zferry::io {

Result<std::unique_ptr<PosixLoop>> PosixLoop::create(std::unique_ptr<Driver> driver) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_error(Fault::kInternal, "eventfd", errno);
  return std::unique_ptr<PosixLoop>(new PosixLoop(std::move(driver), std::move(wake)));
}

PosixLoop::PosixLoop(std::unique_ptr<Driver> driver, UniqueFd wake)
    : driver_(std::move(driver)),
      mailbox_(std::make_shared<Mailbox>(this)),
      wake_(std::move(wake)),
      thread_(std::this_thread::get_id()) {
  arm_wake();
}

PosixLoop::~PosixLoop() {
  mailbox_->close();
  // What these functions own may start, cancel or post more while it is destroyed, so everything goes one by one, until
  // nothing comes.
  for (bool more = true; more;) {
    driver_->drain();
    while (!timers_.empty()) cancel(timers_.begin()->first.second);
    while (!batch_.empty()) {
      auto task = std::move(batch_.front());
      batch_.pop_front();
    }
    const std::lock_guard lock(mutex_);
    batch_.swap(posted_);
    more = !batch_.empty();
  }
  driver_->drain();
}

TimePoint PosixLoop::now() const { return {std::chrono::steady_clock::now().time_since_epoch()}; }

TimerId PosixLoop::after(Duration delay, std::function<void()> fire) {
  const TimePoint from = now();
  const Duration room = kNever - from;
  const TimePoint deadline = delay >= room ? kNever : from + std::max(delay, Duration::zero());
  const TimerId id = ++last_timer_;
  timers_.emplace(std::pair(deadline, id), std::move(fire));
  deadlines_.emplace(id, deadline);
  return id;
}

void PosixLoop::cancel(TimerId id) {
  const auto at = deadlines_.find(id);
  if (at == deadlines_.end()) return;
  auto node = timers_.extract(std::pair(at->second, id));  // out of the map first: destroying `fire` may cancel others
  deadlines_.erase(at);
}

void PosixLoop::post(std::function<void()> task) {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = posted_.empty();
    posted_.push_back(std::move(task));
  }
  // The loop's own thread looks before it waits; and where the queue was not empty, somebody has rung already.
  if (!was_empty || std::this_thread::get_id() == thread_.load()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);  // full means: it rings already
}

void PosixLoop::arm_wake() {
  driver_->wait_ready(wake_.get(), POLLIN, [this](int) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = ::read(wake_.get(), &count, sizeof count);
    arm_wake();
  });
}

void PosixLoop::run() {
  thread_ = std::this_thread::get_id();
  stopped_ = false;
  while (!stopped_) {
    driver_->turn(patience());
    if (!stopped_) fire_timers();
    if (!stopped_) run_tasks();
  }
}

void PosixLoop::run_tasks() {
  if (batch_.empty()) {
    const std::lock_guard lock(mutex_);
    batch_.swap(posted_);
  }
  while (!batch_.empty() && !stopped_) {
    auto task = std::move(batch_.front());
    batch_.pop_front();
    task();
  }
}

void PosixLoop::fire_timers() {
  const TimePoint due = now();  // once: a timer that sets itself again must not starve the rest
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= due) {
    auto node = timers_.extract(timers_.begin());
    deadlines_.erase(node.key().second);
    node.mapped()();
  }
}

// How long a turn may wait; nothing: for ever.
std::optional<Duration> PosixLoop::patience() {
  if (!batch_.empty()) return Duration::zero();
  {
    const std::lock_guard lock(mutex_);
    if (!posted_.empty()) return Duration::zero();
  }
  if (timers_.empty() || timers_.begin()->first.first == kNever) return std::nullopt;
  return std::max(timers_.begin()->first.first - now(), Duration::zero());
}

}  // namespace zferry::io
