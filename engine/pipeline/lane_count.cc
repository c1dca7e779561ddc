#include "pipeline/lane_count.h"

#include <algorithm>

namespace zferry::pipeline {
namespace {

constexpr Duration kSettleLeast = std::chrono::milliseconds(150);
constexpr Duration kMeasureLeast = std::chrono::milliseconds(350);
constexpr Duration kComeLongest = std::chrono::seconds(3);  // of lanes that are dialled
constexpr int kSettleRtts = 6;
constexpr int kMeasureRtts = 5;
constexpr Duration kHoldFirst = std::chrono::seconds(20);
constexpr Duration kHoldMost = std::chrono::minutes(5);
constexpr double kGain = 1.15;    // of a doubling: less is no help
constexpr double kAsGood = 0.95;  // with half of them: the others are none
constexpr double kFallen = 0.6;   // of what it was: another link, another search
constexpr int kLooks = 2;
constexpr int kClimbs = 4;
constexpr double kLimited = 0.5;  // of the time: else the link is not what limits

}  // namespace

LaneCount::LaneCount(std::size_t first, std::size_t most)
    : most_(most), lanes_(std::min(first, most)), hold_(kHoldFirst) {}

std::size_t LaneCount::look(const Look& look) {
  if (!begun_) {
    begun_ = true;
    since_ = look.now;
  }
  if (settling_) {
    bool there = look.lanes >= lanes_ || look.now - since_ >= kComeLongest;
    if (!there) return lanes_;
    if (first_.lanes == 0) {  // they have come: from now on they find their speed
      first_ = look;
      since_ = look.now;
    }
    if (look.now - since_ < std::max<Duration>(kSettleLeast, kSettleRtts * look.rtt)) return lanes_;
    settling_ = false;
    first_ = look;
    return lanes_;
  }
  Duration measured = look.now - first_.now;
  Duration least = std::max<Duration>(kMeasureLeast, kMeasureRtts * look.rtt);
  // To find that fewer do as well takes longer: a mistake costs.
  if (phase_ == Phase::kTryingFewer || phase_ == Phase::kHolding) least = least * 2;
  if (measured < least) return lanes_;
  double limited = seconds(look.link_limited - first_.link_limited) / seconds(measured);
  double held_up = limited + seconds(look.target_limited - first_.target_limited) / seconds(measured);
  double rate =
      static_cast<double>(std::max(look.acked_bytes, first_.acked_bytes) - first_.acked_bytes) / seconds(measured);
  first_ = look;
  link_limited_ = limited >= kLimited;
  if (held_up < kLimited) {
    // Something else limits: nothing can be told of lanes now.
    disappointments_ = 0;
    return lanes_;
  }
  double held = rate_;
  rate_ = rate;
  if (phase_ == Phase::kHolding) {
    rate_ = held > 0 ? 0.75 * held + 0.25 * rate : rate;
    if (rate < kFallen * held && ++disappointments_ >= kLooks) {
      disappointments_ = 0;
      before_ = 0;
      rate_ = rate;
      hold_ = kHoldFirst;
      phase_ = Phase::kGrowing;
    } else if (rate >= kFallen * held) {
      disappointments_ = 0;
    }
  }
  return judge(look, held);
}

void LaneCount::settle() {
  settling_ = true;
  begun_ = false;
  first_ = {};
}

void LaneCount::step_to(std::size_t lanes, Phase phase) {
  before_ = lanes_;
  rate_before_ = rate_;
  lanes_ = lanes;
  phase_ = phase;
  disappointments_ = 0;
  climbs_ = 0;
  settle();
}

void LaneCount::hold(const Look& look, std::size_t lanes) {
  if (lanes != lanes_) {
    settle();
    rate_ = rate_before_;
  }
  lanes_ = lanes;
  before_ = 0;
  disappointments_ = 0;
  phase_ = Phase::kHolding;
  hold_until_ = look.now + hold_;
  hold_ = std::min<Duration>(hold_ * 2, kHoldMost);
}

std::size_t LaneCount::judge(const Look& look, double held) {
  switch (phase_) {
    case Phase::kGrowing:
    case Phase::kTryingMore:
      // What is still getting up to speed tells nothing: any number would seem to help.
      if (before_ == 0 && rate_ >= kGain * held && ++climbs_ < kClimbs) break;
      if (before_ == 0 || rate_ >= kGain * rate_before_) {
        if (lanes_ < most_ && link_limited_) {
          step_to(std::min(most_, lanes_ * 2), phase_);
        } else {
          hold(look, lanes_);
        }
      } else if (++disappointments_ >= kLooks) {
        hold(look, before_);
      }
      break;
    case Phase::kTryingFewer:
      if (rate_ < kAsGood * rate_before_) {
        hold(look, before_);
      } else if (++disappointments_ >= kLooks) {
        hold_ = kHoldFirst;
        hold(look, lanes_);
      }
      break;
    case Phase::kHolding:
      if (look.now < hold_until_) break;
      if (fewer_next_ && lanes_ > 1) {
        step_to(lanes_ / 2, Phase::kTryingFewer);
      } else if (lanes_ < most_) {
        step_to(std::min(most_, lanes_ * 2), Phase::kTryingMore);
      } else {
        hold(look, lanes_);
      }
      fewer_next_ = !fewer_next_;
      break;
  }
  return lanes_;
}

}  // namespace zferry::pipeline
