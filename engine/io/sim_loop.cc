#include "io/sim_loop.h"

#include <algorithm>

namespace zferry::io {

namespace {

std::uint64_t mixed(std::uint64_t number) {
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

}  // namespace

// Some time after it is due, at least a nanosecond, so that a program that sets timers in a circle does not stop the
// clock. The slack is a function of the due time that never lets one timer overtake another: between multiples of the
// longest slack it is interpolated.
TimePoint SimLoop::fires_at(TimePoint due) const {
  const std::int64_t most = core_.timings().timer_slack_max.count();
  ZF_ASSERT(most <= 1'000'000'000);  // or the product below overflows
  std::int64_t slack = 0;
  if (most > 0) {
    const std::int64_t index = due.since_start.count() / most;
    const std::int64_t part = due.since_start.count() % most;
    auto slack_at = [&](std::int64_t point) {
      std::uint64_t number = slack_salt_ + static_cast<std::uint64_t>(point) * 0x9e3779b97f4a7c15;
      return static_cast<std::int64_t>(mixed(number) % static_cast<std::uint64_t>(most));
    };
    slack = (slack_at(index) * (most - part) + slack_at(index + 1) * part) / most;
  }
  return due + Duration(slack + 1);
}

TimerId SimLoop::after(Duration delay, std::function<void()> fire) {
  // A crashed run gets an id that nothing has.
  if (!life_->alive) return ~TimerId{0};
  Duration real = std::max(delay, Duration(0));
  // "Never" is far away, not an overflow.
  real = std::min<Duration>(real, std::chrono::hours(24 * 365 * 10));
  TimePoint at = fires_at(core_.now() + real);
  if (!core_.tracing()) return core_.at(at, life_.get(), std::move(fire));
  return core_.at(at, life_.get(), [this, fire = std::move(fire)] {
    core_.trace("%s: timer", life_->host.c_str());
    fire();
  });
}

void SimLoop::cancel(TimerId id) {
  if (life_->alive) SimTask gone = core_.cancel(id);
}

void SimLoop::post(std::function<void()> task) {
  if (life_->alive) core_.after(Duration(0), life_.get(), std::move(task));
}

}  // namespace zferry::io
