// The source's stages in a later run: wherever the target stands, the rest goes out and nothing else; a stream that
// differs is found out before anything new may leave.
#include <gtest/gtest.h>

#include "pack/pack.h"
#include "unit/pipeline/stages.h"

namespace zferry::pipeline {
namespace {

using namespace testing;

// A source's stages that go on at a point, and what they let go.
struct Rerun {
  OneMachine& one;
  std::size_t block_bytes;
  ResumePoint from;
  Sending sending;
  std::vector<std::byte> sent{};
  std::uint64_t blocks = 0;
  std::size_t precut = 0;  // bytes that were cut before it was known where to go on

  Rerun(OneMachine& on, std::vector<std::byte> bytes, std::size_t leaf_bytes, ResumePoint point,
        const pack::PackSettings& packing = {})
      : one(on),
        block_bytes(leaf_bytes),
        from(std::move(point)),
        sending(on.machine, std::move(bytes), leaf_bytes, packing) {
    sending.input->read_bytes_max = 1 + one.machine.random.below(2 * leaf_bytes);
    sending.input->ended = true;
  }
  SendPipeline& pipeline() { return *sending.pipeline; }
  void collect() {
    while (auto block = pipeline().next_block(~0ull)) {
      EXPECT_FALSE(pipeline().skipping());
      EXPECT_EQ(block->header.number, from.next_number + blocks);
      EXPECT_EQ(block->header.offset, from.offset + sent.size());
      EXPECT_EQ(block->header.offset / block_bytes, (block->header.offset + block->header.raw_bytes - 1) / block_bytes);
      std::vector<std::byte> raw(block->header.raw_bytes);
      EXPECT_EQ(block->header.packed_bytes, block->packed.bytes.size());
      if (block->header.encoding == wire::Encoding::kStored) {
        ASSERT_EQ(raw.size(), block->packed.bytes.size());
        std::copy(block->packed.bytes.begin(), block->packed.bytes.end(), raw.begin());
      } else {
        ASSERT_TRUE(pack::unpack(block->packed.bytes, raw).ok());
      }
      sent.insert(sent.end(), raw.begin(), raw.end());
      ++blocks;
    }
    pipeline().pull();
  }
  void run(const seal::SecretBytes& key) {
    ASSERT_TRUE(one.world.run_until([&] { return sending.identified || sending.failed; }, hours(1)));
    if (one.machine.random.chance(0.5)) one.world.run_for(seconds(1));  // as much as the pool holds
    precut = pipeline().stream_bytes();
    bool judged = false;
    auto judge = [&] {
      if (!judged && pipeline().input_over() && !sending.failed) judged = true, static_cast<void>(pipeline().finish());
    };
    if (one.machine.random.chance(0.5)) judge();
    EXPECT_FALSE(pipeline().skipping());
    pipeline().begin(key.copy(), from);
    EXPECT_FALSE(pipeline().next_block(~0ull)) << "calls nothing from inside itself";
    ASSERT_TRUE(one.world.run_until(
        [&] {
          judge();
          collect();
          return sending.failed || pipeline().drained();
        },
        hours(1)));
  }
};

struct Resumed : ::testing::Test {
  OneMachine one{400};
  SeededRandom& random = one.machine.random;
  seal::SecretBytes key = seal::SecretBytes::random(one.machine.random);
  static constexpr std::size_t kLeaf = 4096;
};

TEST_F(Resumed, EveryOffsetGivesTheRestAndNothingElse) {
  int compared = 0, split = 0, split_of_precut = 0;
  for (int round = 0; round < 12; ++round) {
    bool zfs = round % 3 != 0;
    std::vector<std::byte> bytes =
        zfs ? zfs_stream(random, 120'000, 8 * random.below(4000)) : mixed_bytes(random, 1 + random.below(200'000));
    const std::size_t size = bytes.size();
    std::uint64_t checksums = 0;
    seal::StreamDigest whole{};
    std::vector<std::size_t> offsets{0, 1, kLeaf - 1, kLeaf, kLeaf + 1, 5 * kLeaf, 6 * kLeaf + 77, size - 1, size};
    for (int i = 0; i < 12; ++i) offsets.push_back(random.below(i < 6 ? 40'000 : size + 1));
    for (std::size_t offset : offsets) {
      if (offset > size) continue;
      pack::PackSettings packings[] = {{pack::Mode::kOff, 0}, {}, {pack::Mode::kAlways, 3}};
      std::uint64_t number = offset == 0 ? 0 : 1 + random.below(offset);
      Rerun rerun(one, bytes, kLeaf, point_at(key, kLeaf, bytes, offset, number), packings[random.below(3)]);
      rerun.run(key);
      ASSERT_FALSE(rerun.sending.failed) << rerun.sending.failed->what << " at " << offset << " of " << size;
      ASSERT_EQ(rerun.sent.size(), size - offset);
      ASSERT_TRUE(
          std::equal(rerun.sent.begin(), rerun.sent.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset)));
      StreamEnd end = rerun.pipeline().end();
      EXPECT_EQ(end.bytes, size);
      EXPECT_EQ(end.blocks, number + rerun.blocks);
      EXPECT_EQ(rerun.pipeline().skipped_bytes(), offset);
      EXPECT_FALSE(rerun.pipeline().skipping());
      if (offset == 0) {
        whole = end.digest;
        checksums = rerun.pipeline().checksums_verified();
      }
      EXPECT_EQ(end.digest, whole);
      EXPECT_EQ(rerun.pipeline().checksums_verified(), checksums) << "what is skipped is checked all the same";
      EXPECT_EQ(checksums > 0, zfs);
      split += offset % kLeaf != 0 && offset < size;
      split_of_precut += offset % kLeaf != 0 && offset < rerun.precut;
      ++compared;
    }
  }
  EXPECT_GT(compared, 200);
  EXPECT_GT(split, 100);
  EXPECT_GT(split_of_precut, 50);
}

// X and Y of "between byte X and byte Y".
std::pair<std::uint64_t, std::uint64_t> interval(const std::string& text) {
  std::size_t first = text.find("byte ") + 5, second = text.find("byte ", first) + 5;
  return {std::stoull(text.substr(first)), std::stoull(text.substr(second))};
}

TEST_F(Resumed, ADifferenceIsFoundAtTheNextMark) {
  std::vector<std::byte> bytes = mixed_bytes(random, 60 * kLeaf + 1234);
  int found = 0, beyond = 0;
  for (std::size_t offset : {1u, 4096u, 10'000u, 24'576u, 100'000u, 60u * 4096 + 1234}) {
    ResumePoint point = point_at(key, kLeaf, bytes, offset, 1);
    for (const seal::ChainMark& mark : point.marks) {
      for (std::uint64_t at : {mark.stream_bytes - 1, mark.stream_bytes, mark.stream_bytes + 1}) {
        if (at >= bytes.size()) continue;
        std::vector<std::byte> other = bytes;
        other[at] ^= std::byte{1};
        Rerun rerun(one, other, kLeaf, point);
        rerun.run(key);
        if (at >= offset) {  // what the target does not have may be anything
          ASSERT_FALSE(rerun.sending.failed);
          EXPECT_TRUE(
              std::equal(rerun.sent.begin(), rerun.sent.end(), other.begin() + static_cast<std::ptrdiff_t>(offset)));
          EXPECT_EQ(rerun.sent.size(), bytes.size() - offset);
          ++beyond;
          continue;
        }
        ASSERT_TRUE(rerun.sending.failed) << at << " of " << offset;
        EXPECT_EQ(rerun.sending.failed->fault, Fault::kDifferentStream);
        EXPECT_FALSE(rerun.sending.failed->next.empty());
        auto [from, to] = interval(rerun.sending.failed->what);
        EXPECT_LE(from, at);
        EXPECT_GT(to, at);
        EXPECT_LE(to, std::max<std::uint64_t>(2 * kLeaf, from + from / 2));
        EXPECT_EQ(rerun.pipeline().skipped_bytes(), from);
        EXPECT_LE(rerun.pipeline().stream_bytes(), to + 16 * kLeaf) << "it stops reading there";
        EXPECT_EQ(rerun.blocks, 0u);
        EXPECT_FALSE(rerun.pipeline().drained());
        ++found;
      }
    }
  }
  EXPECT_GT(found, 50);
  EXPECT_GE(beyond, 10);
}

TEST_F(Resumed, AStreamThatIsShorterIsAnother) {
  std::vector<std::byte> bytes = zfs_stream(random, 60'000);
  int compared = 0;
  for (std::size_t more : {1u, 312u, 4096u, 70'000u}) {
    std::vector<std::byte> longer = bytes;
    std::vector<std::byte> rest = mixed_bytes(random, more);
    longer.insert(longer.end(), rest.begin(), rest.end());
    for (int i = 0; i < 6; ++i) {
      Rerun rerun(one, bytes, kLeaf, point_at(key, kLeaf, longer, longer.size(), 9));
      rerun.run(key);
      ASSERT_TRUE(rerun.sending.failed);
      EXPECT_EQ(rerun.sending.failed->fault, Fault::kDifferentStream);
      EXPECT_EQ(rerun.blocks, 0u);
      EXPECT_TRUE(rerun.pipeline().skipping());
      ++compared;
    }
  }
  EXPECT_EQ(compared, 24);
}

// What ended too early is no other stream: the producer's end, or the walker, says what happened.
TEST_F(Resumed, AnInputThatWasCutIsNoOtherStream) {
  std::vector<std::byte> bytes = zfs_stream(random, 60'000);
  std::vector<std::byte> cut(bytes.begin(), bytes.begin() + 30'001);
  Rerun rerun(one, cut, kLeaf, point_at(key, kLeaf, bytes, 40'000, 9));
  ASSERT_TRUE(one.world.run_until([&] { return rerun.sending.identified; }, hours(1)));
  rerun.pipeline().begin(key.copy(), rerun.from);
  one.world.run_for(seconds(10));
  ASSERT_TRUE(rerun.pipeline().input_over());
  EXPECT_FALSE(rerun.sending.failed) << "whoever knows the producer's exit decides";
  EXPECT_FALSE(rerun.pipeline().drained());
  Status finished = rerun.pipeline().finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().fault, Fault::kStreamIncomplete);
  one.world.run_for(seconds(10));
  EXPECT_FALSE(rerun.sending.failed);
  EXPECT_FALSE(rerun.pipeline().next_block(~0ull));
}

TEST_F(Resumed, DamageInWhatIsSkippedIsFound) {
  std::vector<std::byte> bytes = zfs_stream(random, 300'000);
  int damaged = 0;
  for (int i = 0; i < 20; ++i) {
    std::vector<std::byte> bad = bytes;
    std::size_t at = 312 + random.below(bytes.size() - 80'000);
    bad[at] ^= std::byte{4};
    // The target holds the very same damage, so that no mark tells.
    Rerun rerun(one, bad, kLeaf, point_at(key, kLeaf, bad, bytes.size() - 1000, 5));
    rerun.run(key);
    if (!rerun.sending.failed) continue;  // padding that nothing covers
    EXPECT_EQ(rerun.sending.failed->fault, Fault::kStreamDamaged);
    EXPECT_LE(rerun.blocks, 1u) << "of the leaf where the new bytes begin, which goes as it comes";
    ++damaged;
  }
  EXPECT_GE(damaged, 18);
}

// While nothing of a leaf goes out it is compared whole; in the leaf where the new bytes begin none of them waits.
TEST_F(Resumed, ATrickleIsSentAsItComes) {
  std::vector<std::byte> bytes = random_bytes(random, 3 * kLeaf);
  const std::size_t offset = kLeaf + 500;
  Sending from(one.machine, {}, kLeaf);
  from.input->to_read.assign(bytes.begin(), bytes.begin() + 400);
  from.input->wake();
  ASSERT_TRUE(one.world.run_until([&] { return from.identified; }, hours(1)));
  from.pipeline->begin(key.copy(), point_at(key, kLeaf, bytes, offset, 3));
  std::vector<std::byte> sent;
  for (std::size_t there = 401; there <= 2 * kLeaf; ++there) {
    from.input->to_read.push_back(bytes[there - 1]);
    from.input->wake();
    one.world.run_for(milliseconds(1));
    while (auto block = from.pipeline->next_block(~0ull))
      sent.insert(sent.end(), block->packed.bytes.begin(), block->packed.bytes.end());
    from.pipeline->pull();
    one.world.run_for(milliseconds(1));
    while (auto block = from.pipeline->next_block(~0ull))
      sent.insert(sent.end(), block->packed.bytes.begin(), block->packed.bytes.end());
    ASSERT_EQ(sent.size(), there > offset ? there - offset : 0);
  }
  EXPECT_EQ(sent.size(), kLeaf - 500);
  EXPECT_LT(one.machine.workers.jobs, kLeaf + 20) << "the first leaf was one job, or little more";
}

TEST_F(Resumed, APointThatMakesNoSenseIsAProtocolError) {
  std::vector<std::byte> bytes = random_bytes(random, 5 * kLeaf);
  const ResumePoint good = point_at(key, kLeaf, bytes, 3 * kLeaf + 9, 4);
  EXPECT_TRUE(good.check().ok());
  EXPECT_TRUE(ResumePoint().check().ok());
  EXPECT_FALSE(ResumePoint::compare_only().check().ok()) << "nothing that a peer may say";
  std::vector<std::function<void(ResumePoint&)>> changes{
      [](ResumePoint& p) { p.offset += 1; },
      [](ResumePoint& p) { p.offset = 0; },
      [](ResumePoint& p) {
        p.offset = 1ull << 62;
        p.marks.back().stream_bytes = p.offset;
      },
      [](ResumePoint& p) { p.next_number = 0; },
      [](ResumePoint& p) { p.next_number = p.offset + 1; },
      [](ResumePoint& p) { p.marks.clear(); },
      [](ResumePoint& p) { p.marks.pop_back(); },
      [](ResumePoint& p) { p.marks.insert(p.marks.begin(), seal::ChainMark{}); },
      [](ResumePoint& p) { p.marks.push_back(p.marks.back()); },
      [](ResumePoint& p) { std::swap(p.marks[0], p.marks[1]); },
      [](ResumePoint& p) { p.marks.insert(p.marks.begin(), 100, p.marks[0]); },
      [](ResumePoint& p) {
        p = {1, 0, {}};
      },
  };
  int compared = 0;
  for (const auto& change : changes) {
    ResumePoint bad = good;
    change(bad);
    EXPECT_FALSE(bad.check().ok()) << compared;
    Rerun rerun(one, bytes, kLeaf, bad);
    rerun.run(key);
    ASSERT_TRUE(rerun.sending.failed) << compared;
    EXPECT_EQ(rerun.sending.failed->fault, Fault::kProtocol) << compared;
    EXPECT_EQ(rerun.blocks, 0u);
    ++compared;
  }
  EXPECT_EQ(compared, 12);
}

// Marks may stand anywhere as long as they ascend: a peer's word is compared, not trusted.
TEST_F(Resumed, MarksAtAnyPlaceAreCompared) {
  std::vector<std::byte> bytes = mixed_bytes(random, 20 * kLeaf);
  int compared = 0;
  for (int i = 0; i < 40; ++i, ++compared) {
    ResumePoint point{1 + random.below(5), 0, {}};
    seal::LeafChain chain(key.copy(), kLeaf);
    while (point.marks.size() < 30) {
      std::size_t step = 1 + random.below(2500);
      chain.add_bytes(ConstBytes(bytes).subspan(point.offset, step));
      point.offset += step;
      point.marks.push_back({point.offset, chain.digest()});
    }
    std::size_t wrong = random.below(2 * point.marks.size());
    if (wrong < point.marks.size()) point.marks[wrong].digest[3] ^= std::byte{1};
    Rerun rerun(one, bytes, kLeaf, point);
    rerun.run(key);
    ASSERT_EQ(rerun.sending.failed.has_value(), wrong < point.marks.size());
    if (rerun.sending.failed) {
      EXPECT_EQ(rerun.sending.failed->fault, Fault::kDifferentStream);
      EXPECT_EQ(rerun.blocks, 0u);
      EXPECT_EQ(rerun.pipeline().skipped_bytes(), wrong == 0 ? 0 : point.marks[wrong - 1].stream_bytes);
    } else {
      EXPECT_EQ(rerun.sent.size(), bytes.size() - point.offset);
    }
  }
  EXPECT_EQ(compared, 40);
}

}  // namespace
}  // namespace zferry::pipeline
