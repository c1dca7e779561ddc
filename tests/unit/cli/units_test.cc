// Numbers with units, as tables.
#include "units.h"

#include <gtest/gtest.h>

namespace zferry::cli {
namespace {

TEST(Units, Times) {
  using std::chrono::milliseconds;
  const std::pair<const char*, Duration> good[] = {{"0", milliseconds(0)},
                                                   {"90", milliseconds(90'000)},
                                                   {"12s", milliseconds(12'000)},
                                                   {"5m", milliseconds(300'000)},
                                                   {"5min", milliseconds(300'000)},
                                                   {"8h", milliseconds(28'800'000)},
                                                   {"2d", milliseconds(172'800'000)},
                                                   {"250ms", milliseconds(250)},
                                                   {"1.5s", milliseconds(1500)},
                                                   {".5s", milliseconds(500)},
                                                   {"100000000", milliseconds(100'000'000'000)}};
  for (const auto& [text, time] : good) {
    auto parsed = parse_time(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, time) << text;
  }
  for (const char* bad : {"", " ", "s", "-1s", "+1s", "1 s", "1x", "1sm", "1e3", "1.2.3s", ".", "0x10", "inf", "nan",
                          "100000001", "1000000d", "99999999999999999999999999", "12S", "1s "}) {
    auto parsed = parse_time(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().fault, Fault::kUsage);
  }
}

TEST(Units, Bytes) {
  const std::pair<const char*, std::uint64_t> good[] = {{"0", 0},
                                                        {"1500", 1500},
                                                        {"100M", 100'000'000},
                                                        {"64Mi", 64u << 20},
                                                        {"4G", 4'000'000'000},
                                                        {"1k", 1000},
                                                        {"1Ki", 1024},
                                                        {"1KiB", 1024},
                                                        {"5B", 5},
                                                        {"2T", 2'000'000'000'000},
                                                        {"1.5K", 1500},
                                                        {"8TB", 8'000'000'000'000}};
  for (const auto& [text, bytes] : good) {
    auto parsed = parse_bytes(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
  for (const char* bad : {"", "M", "1 M", "-5", "1Q", "1Kii", "1KI", "1e9", "9999999999T", "5BB", "1.2.3", "1Mbit"}) {
    auto parsed = parse_bytes(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().fault, Fault::kUsage);
  }
}

TEST(Units, Rates) {
  const std::pair<const char*, std::uint64_t> good[] = {{"10M", 10'000'000},
                                                        {"10M/s", 10'000'000},
                                                        {"10MB/s", 10'000'000},
                                                        {"200Mbit", 25'000'000},
                                                        {"200Mbit/s", 25'000'000},
                                                        {"1Gbit", 125'000'000},
                                                        {"8bit", 1},
                                                        {"1Mi", 1u << 20},
                                                        {"1500", 1500},
                                                        {"1Kibit", 128},
                                                        {"0", 0}};
  for (const auto& [text, rate] : good) {
    auto parsed = parse_rate(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, rate) << text;
  }
  for (const char* bad : {"", "/s", "M/s", "10M/h", "10Mbits", "10Qbit", "-1", "10M/s/s", "99999999999T"}) {
    auto parsed = parse_rate(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().fault, Fault::kUsage);
  }
}

TEST(Units, BytesAsText) {
  const std::pair<double, const char*> table[] = {
      {0, "0 B"},         {999, "999 B"},       {999.6, "1.00 kB"},   {1000, "1.00 kB"},
      {1234, "1.23 kB"},  {9994, "9.99 kB"},    {9995, "10.0 kB"},    {99'940, "99.9 kB"},
      {99'950, "100 kB"}, {999'499, "999 kB"},  {999'500, "1.00 MB"}, {118e6, "118 MB"},
      {3.2e9, "3.20 GB"}, {4.25e12, "4.25 TB"}, {1.5e15, "1.50 PB"},  {2e18, "2000 PB"}};
  for (const auto& [bytes, text] : table) EXPECT_EQ(bytes_text(bytes), text) << bytes;
}

TEST(Units, TimesAsText) {
  using std::chrono::milliseconds;
  const std::pair<long, const char*> table[] = {{0, "0.0 s"},         {1234, "1.2 s"},      {9940, "9.9 s"},
                                                {9960, "10 s"},       {12'000, "12 s"},     {59'400, "59 s"},
                                                {59'600, "1m00s"},    {200'000, "3m20s"},   {3'599'000, "59m59s"},
                                                {3'600'000, "1h00m"}, {3'720'000, "1h02m"}, {90'000'000, "25h00m"}};
  for (const auto& [ms, text] : table) EXPECT_EQ(time_text(milliseconds(ms)), text) << ms;
}

}  // namespace
}  // namespace zferry::cli
