#include "io/sim_loop.h"

#include <algorithm>

namespace zferry::io {

TimerId SimLoop::after(Duration delay, std::function<void()> fire) {
  // A crashed run gets an id that nothing has.
  if (!life_->alive) return ~TimerId{0};
  Duration real = std::max(delay, Duration(0));
  // "Never" is far away, not an overflow.
  real = std::min<Duration>(real, std::chrono::hours(24 * 365 * 10));
  real += core_.random_below(core_.timings().timer_slack_max);
  if (!core_.tracing()) return core_.after(real, life_.get(), std::move(fire));
  return core_.after(real, life_.get(), [this, fire = std::move(fire)] {
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
