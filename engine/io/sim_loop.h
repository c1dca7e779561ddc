// SimLoop: a simulated host's clock and timers on the world's queue, for one run of the host; does nothing once that is
// over.
#pragma once

#include "io/loop.h"
#include "io/sim_core.h"

namespace zferry::io {

class SimLoop final : public Loop {
 public:
  // The host's clock starts somewhere of its own at each run.
  SimLoop(SimCore& core, SimLifeRef life)
      : core_(core),
        life_(std::move(life)),
        clock_offset_(core.random_below(std::chrono::hours(24))),
        slack_salt_(core.random().next()) {}
  TimePoint now() const override { return core_.now() + clock_offset_; }
  TimerId after(Duration delay, std::function<void()> fire) override;
  void cancel(TimerId id) override;
  void post(std::function<void()> task) override;

 private:
  TimePoint fires_at(TimePoint due) const;

  SimCore& core_;
  SimLifeRef life_;
  Duration clock_offset_;
  std::uint64_t slack_salt_;
};

}  // namespace zferry::io
