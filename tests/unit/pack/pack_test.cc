// Packing: what is packed unpacks to the same bytes, the settings mean what they say, and no bytes from outside unpack
// to anything but the declared length.
#include "pack/pack.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <atomic>
#include <thread>

#include "unit/pack/samples.h"

namespace zferry::pack {
namespace {

using namespace samples;
constexpr PackSettings kAlways3{Mode::kAlways, 3};

// The packed form; empty where it is to be carried as it is.
Blob packed(const PackSettings& settings, const Blob& raw, Hint hint = Hint::kUnknown) {
  Blob out(raw.size());
  out.resize(pack(settings, hint, raw, out));
  return out;
}

TEST(Pack, UnpacksToTheSameBytesAtEveryLevelAndLength) {
  SeededRandom random(1);
  std::size_t compared = 0, compared_bytes = 0;
  for (int level = 1; level <= kLevelMax; ++level)
    for (std::size_t bytes : {std::size_t{1}, std::size_t{2}, std::size_t{63}, std::size_t{64}, std::size_t{100},
                              std::size_t{16383}, std::size_t{16384}, std::size_t{100000}, std::size_t{1} << 20}) {
      const Blob contents[] = {text(bytes), zeros(bytes),
                               mixed(bytes, 0.5, std::min<std::size_t>(bytes, 4096), text(bytes), bytes)};
      for (const Blob& raw : contents) {
        const Blob small = packed({Mode::kAlways, level}, raw);
        if (small.empty()) continue;
        ASSERT_LE(small.size() + std::max<std::size_t>(1, bytes / 64), bytes);
        Blob back(bytes);
        ASSERT_TRUE(unpack(small, back));
        ASSERT_EQ(back, raw);
        ++compared;
        compared_bytes += bytes;
      }
    }
  EXPECT_GE(compared, 150u);
  EXPECT_GE(compared_bytes, 30u << 20);
}

TEST(Pack, FramesDeclareTheirLengthAndCarryNoChecksum) {
  const Blob raw = text(100000), small = packed(kAlways3, raw);
  ASSERT_FALSE(small.empty());
  EXPECT_EQ(ZSTD_getFrameContentSize(small.data(), small.size()), raw.size());
  EXPECT_EQ(std::to_integer<int>(small[4]) & 4, 0);  // the checksum flag of the frame header descriptor
}

TEST(Pack, ModesAndHints) {
  const std::size_t block = limits::kBlockBytesMax;
  const Blob words = text(block), noise = random_bytes(block);
  EXPECT_TRUE(packed({Mode::kOff, 3}, words).empty());
  EXPECT_TRUE(packed({Mode::kProbe, 3}, words, Hint::kIncompressible).empty());
  EXPECT_FALSE(packed({Mode::kAlways, 3}, words, Hint::kIncompressible).empty());
  EXPECT_EQ(packed({Mode::kProbe, 3}, words), packed(kAlways3, words));
  EXPECT_TRUE(packed({Mode::kProbe, 3}, noise).empty());
  EXPECT_TRUE(packed(kAlways3, noise).empty());
  EXPECT_TRUE(packed(kAlways3, {}).empty());
}

TEST(Pack, SavesA64thOrIsNotWorthIt) {
  int worth = 0, not_worth = 0;
  for (std::size_t zero_bytes = 0; zero_bytes < 4096; zero_bytes += 64) {
    Blob raw = random_bytes(65536, zero_bytes);
    std::fill_n(raw.begin(), zero_bytes, std::byte{0});
    const Blob small = packed(kAlways3, raw);
    (small.empty() ? not_worth : worth)++;
    if (!small.empty()) {
      EXPECT_LE(small.size(), raw.size() - raw.size() / 64);
    }
  }
  EXPECT_GT(worth, 30);
  EXPECT_GT(not_worth, 10);
}

// Blocks one by one against the whole stream at once: the price of blocks that stand for themselves.
TEST(Pack, BlocksOfTextCostAtMostATenthMoreThanTheWholeStream) {
  const Blob stream = text(std::size_t{8} << 20, 3);
  Blob whole(ZSTD_compressBound(stream.size()));
  const std::size_t whole_bytes = ZSTD_compress(whole.data(), whole.size(), stream.data(), stream.size(), 3);
  std::size_t block_bytes = 0;
  for (std::size_t at = 0; at < stream.size(); at += limits::kBlockBytesMax) {
    const Blob raw(stream.begin() + at, stream.begin() + at + limits::kBlockBytesMax);
    const std::size_t bytes = packed({}, raw).size();
    ASSERT_GT(bytes, 0u);
    block_bytes += bytes;
  }
  EXPECT_LE(block_bytes, whole_bytes + whole_bytes / 10);
}

void expect_refused(ConstBytes small, std::size_t raw_bytes) {
  Blob raw(raw_bytes);
  const Status status = unpack(small, raw);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().fault, Fault::kProtocol);
}

TEST(Unpack, AnotherLengthIsRefused) {
  const Blob raw = text(5000), small = packed(kAlways3, raw);
  for (std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{4999}, std::size_t{5001}, limits::kBlockBytesMax})
    expect_refused(small, bytes);
}

TEST(Unpack, EveryTruncationAndExtensionIsRefused) {
  const Blob raw = text(5000), small = packed(kAlways3, raw);
  for (std::size_t bytes = 0; bytes < small.size(); ++bytes) expect_refused(ConstBytes(small).first(bytes), raw.size());
  Blob longer = small;
  longer.push_back(std::byte{0});
  expect_refused(longer, raw.size());
  Blob twice = small;
  twice.insert(twice.end(), small.begin(), small.end());
  expect_refused(twice, raw.size());
}

TEST(Unpack, SkippableEmptyBombAndOldFramesAreRefused) {
  Blob skippable(8 + 100);
  store_at(Bytes(skippable), 0, std::uint32_t{ZSTD_MAGIC_SKIPPABLE_START});
  store_at(Bytes(skippable), 4, std::uint32_t{100});
  for (std::size_t bytes : {0, 1, 100}) expect_refused(skippable, bytes);

  const Blob raw = text(5000);
  Blob with_skippable = skippable;
  const Blob small = packed(kAlways3, raw);
  with_skippable.insert(with_skippable.end(), small.begin(), small.end());
  expect_refused(with_skippable, raw.size());

  // 16 MiB of zeros in less than a KiB: declared as such, and not declared at all.
  const Blob big = zeros(std::size_t{16} << 20);
  Blob bomb(ZSTD_compressBound(big.size()));
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), big.data(), big.size(), 3));
  ASSERT_LT(bomb.size(), 2048u);
  expect_refused(bomb, limits::kBlockBytesMax);
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Blob undeclared(ZSTD_compressBound(big.size()));
  undeclared.resize(ZSTD_compress2(context, undeclared.data(), undeclared.size(), big.data(), big.size()));
  ZSTD_freeCCtx(context);
  for (std::size_t bytes : {std::size_t{1} << 20, big.size()}) expect_refused(undeclared, bytes);

  for (std::uint32_t magic = 0xfd2fb522; magic <= 0xfd2fb527; ++magic) {  // of zstd before 0.8
    Blob old = small;
    store_at(Bytes(old), 0, magic);
    expect_refused(old, raw.size());
  }
}

TEST(Unpack, DamageGivesOtherBytesOfTheSameLengthOrIsRefused) {
  // There is no checksum: frames are authenticated. What must not happen is a crash or a write out of bounds.
  SeededRandom random(5);
  const Blob raw = text(20000);
  const Blob small = packed(kAlways3, raw);
  int refused = 0;
  constexpr int kTrials = 5000;
  for (int i = 0; i < kTrials; ++i) {
    Blob bad = small, back(raw.size());
    for (std::uint64_t changes = 1 + random.below(4); changes > 0; --changes)
      bad[random.below(bad.size())] = static_cast<std::byte>(random.next());
    refused += !unpack(bad, back).ok();
  }
  EXPECT_GT(refused, 100);
}

TEST(Pack, ThreadsDoNotShare) {
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 0; seed < 4; ++seed)
    threads.emplace_back([seed, &equal] {
      for (int level = 1; level <= 5; ++level) {
        const Blob raw = text(200000, seed);
        const Blob small = packed({Mode::kProbe, level}, raw);
        Blob back(raw.size());
        equal += unpack(small, back).ok() && back == raw;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 20);
}

}  // namespace
}  // namespace zferry::pack
