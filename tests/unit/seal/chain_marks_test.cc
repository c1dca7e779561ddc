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

}  // namespace
}  // namespace zferry::seal
