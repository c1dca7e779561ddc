// Marks: where they are, that each is the digest of what comes before it, and that there are few of them.
#include "seal/chain_marks.h"

#include <gtest/gtest.h>

#include <vector>

namespace zferry::seal {
namespace {

std::vector<std::byte> random_blob(SeededRandom& random, std::size_t bytes) {
  std::vector<std::byte> blob(bytes);
  random.fill(blob);
  return blob;
}

StreamDigest digest_of(const SecretBytes& key, std::size_t leaf_bytes, ConstBytes bytes) {
  LeafChain chain(key.copy(), leaf_bytes);
  chain.add_bytes(bytes);
  return chain.digest();
}

TEST(ChainMarks, StandWhereTheirDocumentSays) {
  SeededRandom random(1);
  const SecretBytes key = SecretBytes::random(random);
  constexpr std::size_t kLeafBytes = 16;
  const std::vector<std::byte> stream = random_blob(random, kLeafBytes * 200 + 5);
  LeafChain chain(key.copy(), kLeafBytes);
  ChainMarks marks(kLeafBytes);
  marks.note(chain);
  EXPECT_TRUE(marks.marks().empty());
  for (std::byte byte : stream) {
    chain.add_bytes({&byte, 1});
    marks.note(chain);
    marks.note(chain);  // once more changes nothing
  }
  const std::vector<std::uint64_t> leaves{1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181};
  ASSERT_EQ(marks.marks().size(), leaves.size());
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    EXPECT_EQ(marks.marks()[i].stream_bytes, leaves[i] * kLeafBytes);
    EXPECT_EQ(marks.marks()[i].digest, digest_of(key, kLeafBytes, ConstBytes(stream).first(leaves[i] * kLeafBytes)));
  }
}

// Blocks that cross leaf ends come from nobody but a peer that cheats.
TEST(ChainMarks, ABoundThatIsPassedIsMadeUpFor) {
  SeededRandom random(2);
  int compared = 0;
  for (int i = 0; i < 300; ++i) {
    const SecretBytes key = SecretBytes::random(random);
    const std::size_t leaf_bytes = 1 + random.below(8);
    const std::vector<std::byte> stream = random_blob(random, 1 + random.below(2000));
    LeafChain chain(key.copy(), leaf_bytes);
    ChainMarks marks(leaf_bytes);
    for (ConstBytes rest(stream); !rest.empty();) {
      const std::size_t count = 1 + random.below(std::min<std::size_t>(rest.size(), 5 * leaf_bytes));
      chain.add_bytes(rest.first(count));
      rest = rest.subspan(count);
      marks.note(chain);
    }
    std::uint64_t last = 0;
    for (const ChainMark& mark : marks.marks()) {
      EXPECT_GT(mark.stream_bytes, last);
      EXPECT_EQ(mark.stream_bytes % leaf_bytes, 0u);
      ASSERT_EQ(mark.digest, digest_of(key, leaf_bytes, ConstBytes(stream).first(mark.stream_bytes)));
      last = mark.stream_bytes;
      ++compared;
    }
  }
  EXPECT_GT(compared, 1000);
}

TEST(ChainMarks, AreFewAndCloseEnough) {
  SeededRandom random(3);
  LeafChain chain(SecretBytes::random(random), 1 << 20);
  ChainMarks marks(1 << 20);
  constexpr int kPower = 20;
  for (int i = 0; i < 1 << kPower; ++i) {
    chain.add_leaf({});
    marks.note(chain);
  }
  ASSERT_EQ(marks.marks().size(), 2u * kPower) << "two for each doubling, and 1.41 leaves are one";
  for (std::size_t i = 1; i < marks.marks().size(); ++i) {
    const auto before = static_cast<double>(marks.marks()[i - 1].stream_bytes);
    const auto here = static_cast<double>(marks.marks()[i].stream_bytes);
    EXPECT_LE(here, before * (i < 6 ? 2 : 1.5));
  }
  static_assert(2 * (62 - 20) + 1 < kChainMarksMax, "the longest stream has room for its marks");
}

TEST(ChainMarks, GoOnWhereTheyWereSaved) {
  SeededRandom random(4);
  int compared = 0;
  for (int i = 0; i < 100; ++i) {
    const std::size_t leaf_bytes = 1 + random.below(8);
    LeafChain chain(SecretBytes::random(random), leaf_bytes);
    ChainMarks marks(leaf_bytes), relay(leaf_bytes);
    for (int step = 0; step < 60; ++step, ++compared) {
      const std::vector<std::byte> saved = relay.save();
      ASSERT_LE(saved.size(), kSavedMarksBytesMax);
      Result<ChainMarks> restored = ChainMarks::restore(leaf_bytes, saved);
      ASSERT_TRUE(restored) << restored.error().what;
      relay = std::move(*restored);
      ASSERT_EQ(relay.marks(), marks.marks());
      ASSERT_EQ(relay.save(), saved);
      chain.add_bytes(random_blob(random, 1 + random.below((i % 10 + 1) * leaf_bytes)));
      marks.note(chain);
      relay.note(chain);
    }
    EXPECT_EQ(relay.marks(), marks.marks());
    EXPECT_FALSE(marks.marks().empty());
  }
  EXPECT_EQ(compared, 6000);
}

TEST(ChainMarks, WhatWasNotSavedSoIsRefused) {
  std::size_t refused = 0;
  auto refuse = [&refused](std::size_t leaf_bytes, ConstBytes bytes) {
    const Result<ChainMarks> restored = ChainMarks::restore(leaf_bytes, bytes);
    ASSERT_FALSE(restored);
    ASSERT_EQ(restored.error().fault, Fault::kStoreFailed);
    ++refused;
  };
  LeafChain chain(SecretBytes{}, 16);
  ChainMarks marks(16);
  for (int i = 0; i < 50; ++i) {
    chain.add_leaf({});
    marks.note(chain);
  }
  const std::vector<std::byte> saved = marks.save();
  ASSERT_TRUE(ChainMarks::restore(16, saved));
  refuse(8, saved);
  for (std::size_t bytes = 0; bytes < saved.size(); ++bytes) refuse(16, ConstBytes(saved).first(bytes));
  auto changed = [&saved](std::size_t at, std::uint64_t value) {
    std::vector<std::byte> bytes = saved;
    store_at(Bytes(bytes), at, value);
    return bytes;
  };
  constexpr std::size_t kFirst = 4 + 8 + 4, kEach = 8 + sizeof(StreamDigest);  // version, leaf length, count
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{8}, std::uint64_t{33}, ~std::uint64_t{0}})
    refuse(16, changed(kFirst + kEach, length));  // the second: before the first, no bound, beyond the third
  refuse(16, changed(kFirst + kEach, 16));        // the first again
  refuse(16, changed(0, 2));                      // a version to come
  EXPECT_EQ(refused, 7 + saved.size());

  // More than there is room for; and one beyond all streams, where a place could not be computed.
  std::vector<std::byte> many;
  auto add = [&many](auto value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    many.insert(many.end(), bytes.begin(), bytes.end());
  };
  auto with_marks = [&](std::uint64_t last, std::uint32_t count) {
    many.clear();
    add(std::uint32_t{1});
    add(std::uint64_t{1});
    add(count);
    for (std::uint32_t i = 1; i <= count; ++i) {
      add(i == count ? last : std::uint64_t{i});
      add(StreamDigest{});
    }
    return many;
  };
  Result<ChainMarks> full = ChainMarks::restore(1, with_marks(std::uint64_t{1} << 62, kChainMarksMax - 1));
  ASSERT_TRUE(full) << full.error().what;
  LeafChain more(SecretBytes{}, 1);
  full->note(more);
  EXPECT_EQ(full->marks().size(), kChainMarksMax - 1);
  refuse(1, with_marks(1000, kChainMarksMax));
  refuse(1, with_marks((std::uint64_t{1} << 62) + 1, 3));
}

}  // namespace
}  // namespace zferry::seal
