// The probe: gives up on what cannot be packed, and never on a block that would have shrunk by an eighth, however it is
// mixed.
#include "pack/probe.h"

#include <gtest/gtest.h>

#include "pack/pack.h"
#include "unit/pack/samples.h"

namespace zferry::pack {
namespace {

using namespace samples;
constexpr std::size_t kBlock = limits::kBlockBytesMax;

TEST(Probe, GivesUpOnRandomBytesOfAnyLength) {
  int given_up = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SeededRandom lengths(seed);
    given_up += !worth_packing(random_bytes(16384 + lengths.below(kBlock - 16384), seed));
  }
  EXPECT_EQ(given_up, 200);
}

TEST(Probe, GivesUpOnWhatIsPackedAlready) {
  const Blob raw = text(4 * kBlock);
  Blob small;
  for (std::size_t at = 0; at < raw.size(); at += kBlock) {
    Blob out(kBlock);
    out.resize(pack({Mode::kAlways, 3}, Hint::kUnknown, ConstBytes(raw).subspan(at, kBlock), out));
    small.insert(small.end(), out.begin(), out.end());
  }
  ASSERT_GE(small.size(), kBlock);
  small.resize(kBlock);
  EXPECT_FALSE(worth_packing(small));
}

TEST(Probe, TriesWhatIsShortTextAndZeros) {
  EXPECT_TRUE(worth_packing(random_bytes(100)));
  EXPECT_TRUE(worth_packing(text(kBlock)));
  EXPECT_TRUE(worth_packing(zeros(kBlock)));
  EXPECT_TRUE(worth_packing(text(16384)));
}

TEST(Probe, SeesMixturesOfAnEighthAndMoreHoweverTheyLie) {
  int tried = 0, seen = 0;
  const Blob fillings[] = {zeros(kBlock), text(kBlock)};
  for (const Blob& filling : fillings)
    for (std::size_t run_bytes : {std::size_t{512}, std::size_t{4096}, std::size_t{16384}, std::size_t{131072}})
      for (double share : {0.125, 0.25, 0.5, 0.875})
        for (std::uint64_t seed = 0; seed < 20; ++seed, ++tried)
          seen += worth_packing(mixed(kBlock, share, run_bytes, filling, seed));
  EXPECT_EQ(tried, 640);
  EXPECT_GE(seen, tried - 3);  // a sample may miss one that lies badly
}

TEST(Probe, SeesZerosThenRandomAndRandomThenZeros) {
  for (std::size_t zero_bytes : {kBlock / 8, kBlock / 2, kBlock - kBlock / 8}) {
    Blob front = random_bytes(kBlock), back = front;
    std::fill_n(front.begin(), zero_bytes, std::byte{0});
    std::fill_n(back.rbegin(), zero_bytes, std::byte{0});
    EXPECT_TRUE(worth_packing(front));
    EXPECT_TRUE(worth_packing(back));
  }
}

TEST(Probe, SeesNumbersAndRepeatedPatterns) {
  SeededRandom random(3);
  Blob doubles(kBlock), repeated(kBlock), nibbles(kBlock);
  for (std::size_t at = 0; at < kBlock; at += 8) {
    const double value = 1.0 + static_cast<double>(random.below(1000)) / 1000;
    store_at(Bytes(doubles), at, value);
  }
  const Blob pattern = random_bytes(1000);  // random in itself, again and again
  for (std::size_t at = 0; at < kBlock; ++at) {
    repeated[at] = pattern[at % pattern.size()];
    nibbles[at] = static_cast<std::byte>("0123456789abcdef"[random.below(16)]);
  }
  EXPECT_TRUE(worth_packing(doubles));
  EXPECT_TRUE(worth_packing(repeated));
  EXPECT_TRUE(worth_packing(nibbles));
}

}  // namespace
}  // namespace zferry::pack
