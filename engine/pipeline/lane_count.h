// LaneCount: how many lanes help. Starts with few, doubles while what arrives grows by it, goes back where it did not,
// and looks again from time to time, both ways. A search over a noisy figure: it takes two looks to believe that a step
// did not help, one that it did. docs/PERFORMANCE.md, "Lanes". Plain: no clock, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace zferry::pipeline {

class LaneCount {
 public:
  // What is seen of the link, at about ten times a second.
  struct Look {
    TimePoint now;
    std::uint64_t acked_bytes = 0;  // in all, by the other end
    Duration link_limited{0};       // in all: how long blocks were there, and no lane had room,
    Duration target_limited{0};     // or the target had none: a lane that is late looks like that, too
    std::size_t lanes = 0;          // that carry
    Duration rtt{0};
  };
  LaneCount(std::size_t first, std::size_t most);
  // How many there shall be from now on.
  std::size_t look(const Look& look);
  // It found how many help, for now.
  bool settled() const { return phase_ == Phase::kHolding; }
  // What arrived a second while it was measured last; 0: not yet.
  double bytes_per_s() const { return rate_; }

 private:
  enum class Phase { kGrowing, kHolding, kTryingMore, kTryingFewer };
  void settle();
  void step_to(std::size_t lanes, Phase phase);
  void hold(const Look& look, std::size_t lanes);
  std::size_t judge(const Look& look, double held);

  const std::size_t most_;
  std::size_t lanes_;
  Phase phase_ = Phase::kGrowing;
  std::size_t before_ = 0;   // lanes before the step that is being judged; 0: none is
  double rate_before_ = 0;   // bytes a second then
  double rate_ = 0;          // at the last measure
  int disappointments_ = 0;  // looks at this step that showed no gain
  int climbs_ = 0;           // looks in a row at which it was still getting faster by itself
  bool settling_ = true;     // lanes come and find their speed: nothing is measured yet
  TimePoint since_{};        // of settling, or of the measure
  bool begun_ = false;
  Look first_{};  // of the measure
  TimePoint hold_until_{};
  Duration hold_{};
  bool fewer_next_ = true;
  bool link_limited_ = false;  // at the last look
};

}  // namespace zferry::pipeline
