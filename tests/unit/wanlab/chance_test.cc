// The draws: shares and lengths come out as asked, a seed gives the same again, jitter never lets a packet overtake.
#include "chance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <vector>

namespace zferry::wanlab {
namespace {

constexpr int kDraws = 200'000;

std::vector<Fate> draw(std::uint64_t seed, double loss, double burst_loss, double burst_packets, int count = kDraws) {
  LossModel model(seed);
  model.configure(loss, burst_loss, burst_packets);
  std::vector<Fate> fates;
  for (int index = 0; index < count; ++index) fates.push_back(model.draw());
  return fates;
}

TEST(LossModel, NothingIsLostUnasked) {
  for (const Fate fate : draw(1, 0, 0, 1, 10'000)) EXPECT_EQ(fate, Fate::kPasses);
}

TEST(LossModel, EverythingIsLostWhereThatIsAsked) {
  for (const Fate fate : draw(1, 1, 0, 1, 10'000)) EXPECT_EQ(fate, Fate::kLost);
  for (const Fate fate : draw(1, 0, 1, 5, 10'000)) EXPECT_EQ(fate, Fate::kLostInBurst);
}

TEST(LossModel, TheShareComesOut) {
  for (const double share : {0.0005, 0.01, 0.1, 0.5}) {
    const auto fates = draw(7, share, 0, 1);
    const auto lost = static_cast<double>(std::count(fates.begin(), fates.end(), Fate::kLost));
    EXPECT_NEAR(lost, kDraws * share, 5 * std::sqrt(kDraws * share)) << share;
  }
}

TEST(LossModel, BurstsHaveTheirShareAndLength) {
  for (const double packets : {1.0, 4.0, 25.0}) {
    const auto fates = draw(11, 0, 0.05, packets);
    double lost = 0;
    double bursts = 0;
    bool before = false;
    for (const Fate fate : fates) {
      const bool now = fate == Fate::kLostInBurst;
      lost += now;
      bursts += now && !before;
      before = now;
    }
    EXPECT_NEAR(lost / kDraws, 0.05, 0.01) << packets;
    EXPECT_NEAR(lost / bursts, packets, packets * 0.1) << packets;
  }
}

TEST(LossModel, ASeedGivesTheSameAgain) {
  EXPECT_EQ(draw(3, 0.02, 0.01, 5, 20'000), draw(3, 0.02, 0.01, 5, 20'000));
  EXPECT_NE(draw(3, 0.02, 0.01, 5, 20'000), draw(4, 0.02, 0.01, 5, 20'000));
  // For ever, too: who names a seed in a report wants it to mean the same next year.
  const auto fates = draw(3, 0.02, 0.01, 5, 20'000);
  EXPECT_EQ(std::count(fates.begin(), fates.end(), Fate::kLost), 391);
  EXPECT_EQ(std::count(fates.begin(), fates.end(), Fate::kLostInBurst), 168);
}

TEST(Jitter, StaysWithinItsReachAndUsesIt) {
  for (const bool reorder : {false, true}) {
    Jitter jitter(5);
    jitter.configure(3'000'000, reorder);
    std::int64_t least = 0;
    std::int64_t most = 0;
    double sum = 0;
    for (std::int64_t now = 0; now < 100'000; ++now) {
      const std::int64_t strays = jitter.draw(now * 1'000'000);
      least = std::min(least, strays);
      most = std::max(most, strays);
      sum += static_cast<double>(strays);
    }
    EXPECT_GE(least, -3'000'000);
    EXPECT_LE(most, 3'000'000);
    EXPECT_LT(least, -2'500'000);
    EXPECT_GT(most, 2'500'000);
    EXPECT_NEAR(sum / 100'000, 0, 100'000);
  }
}

TEST(Jitter, NeverLetsALaterPacketOvertake) {
  for (const std::int64_t reach : {100'000, 5'000'000, 200'000'000}) {
    Jitter jitter(9);
    jitter.configure(reach, false);
    std::int64_t before = jitter.draw(0);
    std::int64_t compared = 0;
    for (std::int64_t now = 12'000; now < 5'000'000'000; now += 12'000, ++compared) {
      const std::int64_t strays = jitter.draw(now);
      ASSERT_GE(strays, before - 6'100) << now;  // falls by at most half of what has gone by
      before = strays;
    }
    EXPECT_GT(compared, 400'000);
  }
}

}  // namespace
}  // namespace zferry::wanlab
