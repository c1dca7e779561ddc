// Which level is found, on data and links that are known: against the best fixed level of the same model.
#include "pack/level_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace zferry::pack {
namespace {

struct Level {
  double work_s;  // for a raw byte
  double share;
};
using Data = std::map<int, Level>;

constexpr std::size_t kBlock = 1 << 20;

// The time of a stream of `blocks` at the levels that are chosen, by the model that the choice has, too.
double time_of(LevelChoice& choice, const Data& data, double workers, double link, int blocks) {
  double work_s = 0, wire_bytes = 0;
  for (int i = 0; i < blocks; ++i) {
    int level = choice.level(Texture::kText);
    const Level& is = data.at(level);
    work_s += is.work_s * kBlock;
    wire_bytes += is.share * kBlock;
    choice.learn(Texture::kText, level, kBlock, static_cast<std::size_t>(is.share * kBlock),
                 Duration(static_cast<std::int64_t>(is.work_s * kBlock * 1e9)));
  }
  return std::max(work_s / workers, wire_bytes / link);
}

double best_fixed(const Data& data, double workers, double link, int blocks) {
  double best = 1e9;
  for (const auto& [level, is] : data)
    best = std::min(best, blocks * kBlock * std::max(is.work_s / workers, is.share / link));
  return best;
}

const Data kText = {
    {0, {0, 1}}, {1, {1 / 450e6, 0.42}}, {3, {1 / 250e6, 0.38}}, {5, {1 / 90e6, 0.36}}, {7, {1 / 60e6, 0.35}}};
const Data kHard = {
    {0, {0, 1}}, {1, {1 / 300e6, 0.9}}, {3, {1 / 150e6, 0.88}}, {5, {1 / 60e6, 0.87}}, {7, {1 / 40e6, 0.87}}};
const Data kEasy = {
    {0, {0, 1}}, {1, {1 / 2e9, 0.02}}, {3, {1 / 1.8e9, 0.02}}, {5, {1 / 600e6, 0.019}}, {7, {1 / 500e6, 0.019}}};

TEST(LevelChoice, IsWithinATenthOfTheBestFixedLevel) {
  int compared = 0;
  for (const Data& data : {kText, kHard, kEasy})
    for (double workers : {1.0, 2.0, 16.0})
      for (double link : {1.25e6, 12.5e6, 125e6, 400e6, 1.2e9, 3e9}) {
        LevelChoice choice(workers);
        choice.set_link(link);
        double took = time_of(choice, data, workers, link, 2000);
        EXPECT_LE(took, 1.1 * best_fixed(data, workers, link, 2000)) << workers << " workers, link " << link;
        ++compared;
      }
  EXPECT_EQ(compared, 54);
}

TEST(LevelChoice, CarriesAsItIsWhatPackingWouldHoldUp) {
  LevelChoice choice(2);
  choice.set_link(3e9);
  time_of(choice, kText, 2, 3e9, 100);
  int as_it_is = 0;
  for (int i = 0; i < 100; ++i) as_it_is += choice.level(Texture::kText) == 0;
  EXPECT_GE(as_it_is, 95);
  EXPECT_EQ(choice.level(Texture::kDense), 0);
}

TEST(LevelChoice, LearnsOfEachTextureByItself) {
  LevelChoice choice(2);
  choice.set_link(1.2e9);
  for (int i = 0; i < 100; ++i) {
    choice.learn(Texture::kText, 1, kBlock, kBlock * 42 / 100, Duration(2'300'000));
    choice.learn(Texture::kSparse, 1, kBlock, kBlock / 50, Duration(100'000));
  }
  EXPECT_EQ(choice.level(Texture::kText), 0);
  EXPECT_GE(choice.level(Texture::kSparse), 1);
}

TEST(LevelChoice, SpendsLittleWhereNothingIsScarce) {
  LevelChoice choice(2);
  choice.set_link(125e6);
  choice.set_pace(20e6);  // a slow producer
  for (int i = 0; i < 50; ++i) {
    int level = choice.level(Texture::kText);
    EXPECT_LE(level, 5) << "3, or a trial beside it";
    choice.learn(Texture::kText, level, kBlock, kBlock * 42 / 100 - 1000 * static_cast<std::size_t>(level),
                 Duration(4'000'000));
  }
  EXPECT_EQ(choice.level(Texture::kText), 3);
}

}  // namespace
}  // namespace zferry::pack
