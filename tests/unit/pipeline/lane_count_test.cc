// How many lanes are found to help, on links that are known: what arrives by their number.
#include "pipeline/lane_count.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/random.h"

namespace zferry::pipeline {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);

// A link on which `rate` (lanes -> bytes a second) is what arrives, give or take `noise` of it.
class LaneCounts : public ::testing::Test {
 protected:
  std::size_t run(LaneCount& count, int ticks) {
    for (int tick = 0; tick < ticks; ++tick) {
      now.since_start += kTick;
      double dice = static_cast<double>(random.below(2001)) / 1000 - 1;
      acked += static_cast<std::uint64_t>(rate(lanes) * seconds(kTick) * (1 + noise * dice));
      limited += std::chrono::duration_cast<Duration>(kTick * limited_share);
      lanes = count.look({now, acked, limited, Duration(0), lanes, rtt});
      most_seen = std::max(most_seen, lanes);
    }
    return lanes;
  }
  std::function<double(std::size_t)> rate;
  double noise = 0;
  double limited_share = 1;
  Duration rtt = std::chrono::milliseconds(80);
  TimePoint now{};
  std::uint64_t acked = 0;
  Duration limited{0};
  std::size_t lanes = 4;
  std::size_t most_seen = 0;
  SeededRandom random{1};
};

TEST_F(LaneCounts, GrowsWhileItHelpsAndGoesBackWhereItDidNot) {
  rate = [](std::size_t n) { return std::min(30e6 * static_cast<double>(n), 120e6); };  // four fill it
  LaneCount count(4, 16);
  EXPECT_EQ(run(count, 60), 4u);
  EXPECT_EQ(most_seen, 8u) << "one step too far, to see that it is";
  EXPECT_TRUE(count.settled());
  EXPECT_NEAR(count.bytes_per_s(), 120e6, 1e6);
}

TEST_F(LaneCounts, TakesAllThatItMayHaveWhereEachHelps) {
  rate = [](std::size_t n) { return 1e6 * static_cast<double>(n); };
  noise = 0.3;
  LaneCount count(4, 16);
  EXPECT_EQ(run(count, 50), 16u) << "within five seconds, however noisy";
  LaneCount few(4, 6);
  lanes = 4;
  EXPECT_EQ(run(few, 50), 6u);
}

TEST_F(LaneCounts, DropsWhatDoesNotHelp) {
  rate = [](std::size_t) { return 100e6; };  // one would do
  LaneCount count(4, 16);
  EXPECT_EQ(run(count, 50), 4u);
  EXPECT_EQ(run(count, 3000), 1u) << "in time";
}

TEST_F(LaneCounts, SearchesAnewWhereTheLinkHasChanged) {
  rate = [](std::size_t n) { return std::min(30e6 * static_cast<double>(n), 60e6); };
  LaneCount count(2, 16);
  lanes = 2;
  EXPECT_EQ(run(count, 60), 2u);
  rate = [](std::size_t n) { return 1e6 * static_cast<double>(n); };  // losses, say
  EXPECT_EQ(run(count, 150), 16u);
}

TEST_F(LaneCounts, StaysWhereSomethingElseLimits) {
  rate = [](std::size_t) { return 5e6; };
  limited_share = 0.2;
  LaneCount count(4, 16);
  EXPECT_EQ(run(count, 1000), 4u);
  EXPECT_EQ(most_seen, 4u);
}

}  // namespace
}  // namespace zferry::pipeline
