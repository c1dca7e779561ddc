// Random numbers: seeded ones that never change, and the system's.
#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

namespace zferry {
namespace {

// The published algorithm, seeded by splitmix64 from 1: seeds in bug reports must mean the same for ever.
TEST(SeededRandom, IsTheSameEverywhere) {
  SeededRandom random(1);
  const std::uint64_t expected[] = {0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514, 0x642e1c7bc266a3a7};
  for (std::uint64_t word : expected) EXPECT_EQ(random.next(), word);
}

TEST(SeededRandom, SeedsDiffer) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) first.insert(SeededRandom(seed).next());
  EXPECT_EQ(first.size(), 1000u);
}

TEST(SeededRandom, FillsAnyLengthAndNotMore) {
  for (std::size_t bytes = 0; bytes < 40; ++bytes) {
    std::vector<std::byte> buffer(bytes + 8);
    SeededRandom(3).fill(Bytes(buffer).first(bytes));
    SeededRandom words(3);
    for (std::size_t i = 0; i < bytes; i += 8) {
      const std::uint64_t word = words.next();
      EXPECT_EQ(std::memcmp(&word, &buffer[i], std::min<std::size_t>(8, bytes - i)), 0);
    }
    for (std::size_t i = bytes; i < buffer.size(); ++i) EXPECT_EQ(buffer[i], std::byte{0});
  }
}

TEST(SeededRandom, BelowAndChanceKeepTheirBounds) {
  SeededRandom random(4);
  std::set<std::uint64_t> seen;
  int hits = 0;
  for (int i = 0; i < 10000; ++i) {
    seen.insert(random.below(7));
    hits += random.chance(0.25);
    EXPECT_FALSE(random.chance(0));
    EXPECT_TRUE(random.chance(1));
  }
  EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_GT(hits, 2200);
  EXPECT_LT(hits, 2800);
  EXPECT_EQ(random.below(0), 0u);
  EXPECT_EQ(random.below(1), 0u);
}

TEST(SystemRandom, DoesNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::array<std::byte, 16> bytes{};
    system_random().fill(bytes);
    seen.emplace(as_text(bytes));
  }
  EXPECT_EQ(seen.size(), 100u);
}

}  // namespace
}  // namespace zferry
