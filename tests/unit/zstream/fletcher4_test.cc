#include "zstream/fletcher4.h"

#include <gtest/gtest.h>

#include "unit/zstream/sample_streams.h"

namespace zferry::zstream {
namespace {

// The definition, word by word.
Fletcher4 plain(ConstBytes bytes, bool swapped) {
  Fletcher4 sums;
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    auto word = load<std::uint32_t>(bytes, i);
    sums.a += swapped ? swap_bytes(word) : word;
    sums.b += sums.a;
    sums.c += sums.b;
    sums.d += sums.c;
    ++sums.words;
  }
  return sums;
}

TEST(Fletcher4, OfNothingIsZero) {
  EXPECT_TRUE(fletcher4({}).is_zero());
  EXPECT_EQ(fletcher4({}).words, 0u);
}

TEST(Fletcher4, KnownValues) {
  const std::array<std::uint32_t, 3> words{1, 2, 3};
  const Fletcher4 sums = fletcher4(std::as_bytes(std::span(words)));
  EXPECT_EQ(sums.a, 6u);
  EXPECT_EQ(sums.b, 1u + 3 + 6);
  EXPECT_EQ(sums.c, 1u + 4 + 10);
  EXPECT_EQ(sums.d, 1u + 5 + 15);
  EXPECT_EQ(sums.words, 3u);
}

TEST(Fletcher4, MatchesTheDefinitionAndIgnoresTheTail) {
  SeededRandom random(11);
  int compared = 0;
  for (std::size_t bytes = 0; bytes < 300; ++bytes) {
    const auto data = testing::random_bytes(random, bytes);
    for (bool swapped : {false, true}) {
      const Fletcher4 expected = plain(data, swapped);
      const Fletcher4 sums = fletcher4(data, swapped);
      ASSERT_TRUE(sums.same_value(expected)) << bytes;
      ASSERT_EQ(sums.words, bytes / 4);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 600);
}

TEST(Fletcher4, SwappedIsTheSumOfSwappedWords) {
  std::array<std::uint32_t, 4> words{0x01020304, 0xdeadbeef, 0, 0xff000000};
  const Fletcher4 straight = fletcher4(std::as_bytes(std::span(words)));
  for (auto& word : words) word = swap_bytes(word);
  EXPECT_TRUE(fletcher4(std::as_bytes(std::span(words)), true).same_value(straight));
}

TEST(Fletcher4, RandomSplitsFoldToTheDirectSum) {
  SeededRandom random(12);
  const auto data = testing::random_bytes(random, 1 << 20);
  const Fletcher4 direct = fletcher4(data);
  std::uint64_t folded = 0;
  for (int round = 0; round < 200; ++round) {
    Fletcher4 sums;
    std::size_t at = 0;
    while (at < data.size()) {
      const std::size_t bytes = std::min<std::size_t>(4 * random.below(round < 20 ? 64 : 40000), data.size() - at);
      sums = append(sums, fletcher4(ConstBytes(data).subspan(at, bytes)));
      at += bytes;
      ++folded;
    }
    ASSERT_TRUE(sums.same_value(direct)) << "round " << round;
    ASSERT_EQ(sums.words, data.size() / 4);
  }
  EXPECT_GT(folded, 10000u);
}

// Doubling a run of words again and again reaches counts whose binomials are far beyond 2^64, where a division that
// comes too late would show. The sums of 2^k equal words w are w times C(n,1), C(n+1,2), C(n+2,3), C(n+3,4).
TEST(Fletcher4, AppendIsRightModuloTwoToThe64) {
  SeededRandom random(13);
  for (int round = 0; round < 50; ++round) {
    const auto word = static_cast<std::uint32_t>(random.next());
    const Fletcher4 one{word, word, word, word, 1};
    // n words built in two ways: bit by bit from doublings, and as a left part and a right part of random lengths.
    auto repeated = [&](std::uint64_t n) {
      Fletcher4 sums, power = one;
      for (; n != 0; n >>= 1, power = append(power, power)) {
        if (n & 1) sums = append(sums, power);
      }
      return sums;
    };
    const std::uint64_t left = random.below(std::uint64_t{1} << 45), right = random.below(std::uint64_t{1} << 45);
    const Fletcher4 whole = repeated(left + right);
    const Fletcher4 parts = append(repeated(left), repeated(right));
    ASSERT_TRUE(whole.same_value(parts)) << left << " and " << right;
    ASSERT_EQ(whole.words, left + right);
  }
}

TEST(Fletcher4, AppendIsAssociative) {
  SeededRandom random(14);
  for (int round = 0; round < 1000; ++round) {
    Fletcher4 x, y, z;
    for (Fletcher4* sums : {&x, &y, &z}) {
      *sums = {random.next(), random.next(), random.next(), random.next(), random.below(std::uint64_t{1} << 60)};
    }
    ASSERT_TRUE(append(append(x, y), z).same_value(append(x, append(y, z)))) << round;
  }
}

}  // namespace
}  // namespace zferry::zstream
