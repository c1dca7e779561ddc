// --limit: rates, hours, files.
#include "rate_schedule.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace zferry::cli {
namespace {

constexpr int at(int hours, int minutes = 0) { return hours * 60 + minutes; }

TEST(RateSchedule, ARateIsOneAtAllHours) {
  auto schedule = RateSchedule::parse("10M");
  ASSERT_TRUE(schedule);
  for (int minute = 0; minute < 24 * 60; ++minute) ASSERT_EQ(schedule->at(minute), 10'000'000u);
  EXPECT_FALSE(schedule->changes());
  EXPECT_EQ(RateSchedule::parse("80Mbit").value().at(0), 10'000'000u);
  EXPECT_EQ(RateSchedule::parse("none").value().at(0), 0u);
}

TEST(RateSchedule, TheFirstHoursThatFitCount) {
  auto schedule = RateSchedule::parse(" 80M, 08:00-18:00 = 2M , 17:00-19:30=5M, 22:00-06:00=none,");
  ASSERT_TRUE(schedule) << schedule.error().what;
  EXPECT_TRUE(schedule->changes());
  EXPECT_EQ(schedule->at(at(7, 59)), 80'000'000u);
  EXPECT_EQ(schedule->at(at(8)), 2'000'000u);
  EXPECT_EQ(schedule->at(at(17, 59)), 2'000'000u);
  EXPECT_EQ(schedule->at(at(18)), 5'000'000u);
  EXPECT_EQ(schedule->at(at(19, 30)), 80'000'000u);
  EXPECT_EQ(schedule->at(at(22)), 0u);
  EXPECT_EQ(schedule->at(at(0)), 0u) << "over midnight";
  EXPECT_EQ(schedule->at(at(5, 59)), 0u);
  EXPECT_EQ(schedule->at(at(6)), 80'000'000u);
  EXPECT_EQ(RateSchedule::parse("18:00-24:00=1M").value().at(at(23, 59)), 1'000'000u);
  EXPECT_EQ(RateSchedule::parse("18:00-24:00=1M").value().at(at(0)), 0u) << "no limit at other hours";
}

TEST(RateSchedule, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", ",", "fast", "10M,20M", "999", "8:00-18:00=2M", "08:00=2M", "08:00-08:00=2M", "08:00-25:00=2M",
        "08:60-09:00=2M", "24:01-01:00=2M", "00:00-24:00=2M", "08:00-18:00=", "08:00-18:00=1"}) {
    auto schedule = RateSchedule::parse(text);
    ASSERT_FALSE(schedule) << text;
    EXPECT_EQ(schedule.error().fault, Fault::kUsage);
  }
}

TEST(RateSource, WhatNeverChangesIsNotAskedAgain) {
  auto always = rate_source("10M");
  ASSERT_TRUE(always);
  EXPECT_EQ(always->bytes_per_s, 10'000'000u);
  EXPECT_FALSE(always->again);
  auto by_hour = rate_source("10M,00:00-12:00=2M,12:00-24:00=2M");
  ASSERT_TRUE(by_hour);
  EXPECT_EQ(by_hour->bytes_per_s, 2'000'000u);
  ASSERT_TRUE(by_hour->again);
  EXPECT_EQ(by_hour->again().value(), 2'000'000u);
}

TEST(RateSource, AFileIsReadAgainWhenItChanges) {
  char name[] = "/tmp/zferry-limit-XXXXXX";
  int fd = ::mkstemp(name);
  ASSERT_GE(fd, 0);
  ::close(fd);
  auto write = [&](const std::string& text) {
    std::filesystem::remove(name);  // a new one: another inode, whatever the clock's grain
    std::ofstream(name) << text;
  };
  EXPECT_FALSE(rate_source(std::string("@") + name)) << "it is empty";
  write("# by day\n10M\n");
  auto source = rate_source(std::string("@") + name);
  ASSERT_TRUE(source) << source.error().what;
  EXPECT_EQ(source->again().value(), 10'000'000u);
  write("3M # slower\n00:00-12:00=2M\n12:00-24:00=2M");
  EXPECT_EQ(source->again().value(), 2'000'000u);
  write("quick");
  EXPECT_FALSE(source->again());
  std::filesystem::remove(name);
  EXPECT_FALSE(source->again());
  write("none");
  EXPECT_EQ(source->again().value(), 0u);
  std::filesystem::remove(name);
}

}  // namespace
}  // namespace zferry::cli
