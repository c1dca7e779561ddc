// The send pipeline against the receive pipeline: bytes out are bytes in, whatever the input's pauses, the packing and
// the order of arrival; the stages' own promises; what a peer may do to the receiving one.
#include <gtest/gtest.h>

#include <map>

#include "unit/pipeline/stages.h"
#include "unit/zstream/sample_streams.h"

namespace zferry::pipeline {
namespace {

using namespace testing;

// Blocks from one to the other, out of order by a few and some of them twice, as several lanes would bring them.
struct Ferry {
  Machine& machine;
  Sending& from;
  Receiving& to;
  flow::BufferPool pool;
  std::vector<OutgoingBlock> under_way{};
  std::map<std::uint64_t, wire::Block> seen{};
  std::size_t stored = 0;

  Ferry(Machine& on, Sending& one, Receiving& other, std::size_t block_bytes)
      : machine(on), from(one), to(other), pool(64, block_bytes) {}
  void deliver(const OutgoingBlock& block) {
    flow::Buffer buffer = pool.take();
    ASSERT_TRUE(buffer);
    std::copy(block.packed.bytes.begin(), block.packed.bytes.end(), buffer->begin());
    to.pipeline.take(block.header, {buffer, ConstBytes(*buffer).first(block.packed.bytes.size())});
  }
  bool step() {
    while (auto block = from.pipeline->next_block(to.pipeline.credit())) {
      seen[block->header.number] = block->header;
      stored += block->header.encoding == wire::Encoding::kStored;
      under_way.push_back(std::move(*block));
    }
    from.pipeline->pull();
    if (!under_way.empty()) {
      auto which = under_way.begin() + static_cast<std::ptrdiff_t>(machine.random.below(under_way.size()));
      deliver(*which);
      if (machine.random.chance(0.2)) deliver(*which);
      under_way.erase(which);
      machine.host.loop.post([] {});  // what waits for the head brings about no event
    }
    return from.failed || to.failed || (from.pipeline->drained() && under_way.empty());
  }
};

class Stages : public ::testing::TestWithParam<int> {
 protected:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(GetParam()); }
  SeededRandom& random() { return machine.random; }
  io::SimWorld world{static_cast<std::uint64_t>(100 + GetParam())};
  Machine machine{world.add_host("host"), static_cast<std::uint64_t>(200 + GetParam())};
  seal::SecretBytes key = seal::SecretBytes::random(machine.random);

  void run(Sending& from, Ferry& ferry) {
    ASSERT_TRUE(world.run_until([&] { return from.identified || from.failed; }, hours(1)));
    from.pipeline->begin(key.copy(), {});
    ASSERT_TRUE(world.run_until([&] { return ferry.step(); }, hours(10)));
  }
};

TEST_P(Stages, BytesOutAreBytesIn) {
  const pack::PackSettings packings[] = {{pack::Mode::kOff, 0}, {}, {pack::Mode::kAlways, 1 + GetParam() % 12}};
  const std::size_t block_bytes = GetParam() % 2 == 0 ? 4096 : 65536;
  bool zfs = GetParam() % 3 != 0;
  std::vector<std::byte> bytes =
      zfs ? zfs_stream(random(), 1'500'000, 40) : mixed_bytes(random(), random().below(1'000'000));
  Sending from(machine, bytes, block_bytes, packings[GetParam() % 3]);
  from.input->read_bytes_max = 1 + random().below(2 * block_bytes);
  from.input->ended = true;
  Receiving to(machine, key, block_bytes);
  Ferry ferry(machine, from, to, block_bytes);
  run(from, ferry);
  ASSERT_FALSE(from.failed || to.failed);
  ASSERT_TRUE(from.pipeline->finish().ok());
  to.check(from.pipeline->end());
  ASSERT_TRUE(world.run_until([&] { return to.verdict.has_value(); }, hours(1)));
  ASSERT_TRUE(to.verdict->ok()) << to.verdict->error().what;
  world.run_for(seconds(1));
  EXPECT_EQ(to.end->wire->written.size(), bytes.size() - std::min(bytes.size(), limits::kTailBytes));
  EXPECT_FALSE(to.finished);
  to.pipeline.release();
  ASSERT_TRUE(world.run_until([&] { return to.finished.has_value(); }, hours(1)));
  EXPECT_EQ(to.end->wire->written, bytes);
  EXPECT_EQ(to.pipeline.digest(), from.pipeline->end().digest);
  EXPECT_EQ(to.pipeline.delivered(), from.pipeline->end().blocks);
  if (zfs) {
    EXPECT_GT(from.pipeline->checksums_verified(), 10u);
  }
  std::uint64_t offset = 0;
  for (const auto& [number, block] : ferry.seen) {
    EXPECT_EQ(block.offset, offset);
    offset += block.raw_bytes;
    EXPECT_EQ((offset - 1) / block_bytes, block.offset / block_bytes) << "a block within a leaf";
  }
  EXPECT_EQ(offset, bytes.size());
  EXPECT_EQ(ferry.seen.size(), from.pipeline->end().blocks);
  if (packings[GetParam() % 3].mode == pack::Mode::kOff) {
    EXPECT_EQ(ferry.stored, ferry.seen.size());
  }
}

TEST_P(Stages, TheSamplesOfZfsStreamsPass) {
  std::size_t passed = 0;
  for (const zstream::testing::Sample& sample : zstream::testing::sample_streams()) {
    Sending from(machine, sample.bytes, 4096);
    from.input->read_bytes_max = 1 + random().below(5000);
    from.input->ended = true;
    Receiving to(machine, key, 4096);
    Ferry ferry(machine, from, to, 4096);
    run(from, ferry);
    ASSERT_FALSE(from.failed || to.failed) << sample.name;
    ASSERT_TRUE(from.pipeline->finish().ok());
    to.check(from.pipeline->end());
    ASSERT_TRUE(world.run_until([&] { return to.verdict.has_value(); }, hours(1)));
    EXPECT_TRUE(to.verdict->ok()) << sample.name;
    EXPECT_EQ(from.pipeline->checksums_verified(), sample.checksums) << sample.name;
    to.pipeline.release();
    ASSERT_TRUE(world.run_until([&] { return to.finished.has_value(); }, hours(1)));
    EXPECT_EQ(to.end->wire->written, sample.bytes) << sample.name;
    ++passed;
  }
  EXPECT_EQ(passed, 12u);
}

// Some bytes now and then: each goes at once, and the withheld ones, however many blocks they are, hold no credit.
TEST_P(Stages, ATrickleNeverRunsOutOfCredit) {
  std::vector<std::byte> bytes = random_bytes(random(), 4000);
  Sending from(machine, {}, 65536);
  Receiving to(machine, key, 65536, 2);
  Ferry ferry(machine, from, to, 65536);
  from.input->to_read.assign(bytes.begin(), bytes.begin() + 400);
  from.input->wake();
  ASSERT_TRUE(world.run_until([&] { return from.identified; }, hours(1)));
  from.pipeline->begin(key.copy(), {});
  for (std::size_t there = 400; there <= bytes.size(); ++there) {
    ASSERT_TRUE(world.run_until(
        [&] {
          ferry.step();
          return to.pipeline.received() > 0 && to.end->wire->written.size() + limits::kTailBytes >= there &&
                 ferry.under_way.empty() && from.pipeline->stream_bytes() == there &&
                 to.pipeline.credit() > to.pipeline.received();
        },
        seconds(10)))
        << there;
    if (there == bytes.size()) break;
    from.input->to_read.push_back(bytes[there]);
    from.input->wake();
  }
  EXPECT_GT(ferry.seen.size(), 3000u);
  from.input->ended = true;
  from.input->wake();
  ASSERT_TRUE(world.run_until([&] { return ferry.step(); }, hours(1)));
  to.check(from.pipeline->end());
  to.pipeline.release();
  ASSERT_TRUE(world.run_until([&] { return to.finished.has_value(); }, hours(1)));
  EXPECT_EQ(to.end->wire->written, bytes);
}

// With one checksum wrong, the blocks before it may go, none from there on.
TEST_P(Stages, ADamagedBlockNeverLeaves) {
  std::vector<std::byte> bytes = zfs_stream(random(), 600'000);
  const std::size_t block_bytes = 8192;
  int damaged = 0;
  for (int i = 0; i < 10; ++i) {
    std::vector<std::byte> bad = bytes;
    std::size_t at = 312 + random().below(bytes.size() - 312 - 40);
    bad[at] ^= static_cast<std::byte>(1u << random().below(8));
    Sending from(machine, bad, block_bytes);
    from.input->ended = true;
    Receiving to(machine, key, block_bytes);
    Ferry ferry(machine, from, to, block_bytes);
    run(from, ferry);
    if (!from.failed) {  // padding of a header that nothing covers, or a length that makes the end wrong
      EXPECT_FALSE(from.pipeline->finish().ok()) << at;
      continue;
    }
    ++damaged;
    EXPECT_EQ(from.failed->fault, Fault::kStreamDamaged);
    EXPECT_FALSE(from.pipeline->next_block(~0ull));
    // The damage shows by the end of its record at the latest; no block that was let go reaches beyond that.
    for (const auto& [number, block] : ferry.seen) EXPECT_LE(block.offset, at + 131072 + 2 * 312) << number;
    std::size_t written = to.end->wire->written.size();
    EXPECT_TRUE(std::equal(to.end->wire->written.begin(), to.end->wire->written.end(), bad.begin()));
    EXPECT_LT(written, bytes.size() - limits::kTailBytes);
  }
  EXPECT_GE(damaged, 9);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Stages, ::testing::Range(0, 9));

// The pool is full long before such a list of snapshots is over, and the source must say what it has all the same.
TEST(SendPipeline, AFirstRecordLongerThanThePoolIsIdentified) {
  OneMachine one(3);
  zstream::StreamWriter writer;
  writer.begin({.toguid = 17, .toname = "tank@1"},
               std::vector<std::byte>(limits::kOuterListBytesMax + 12 * limits::MiB, std::byte{7}));
  writer.end();
  Sending from(one.machine, writer.take(), limits::kBlockBytesMax, {}, limits::kSourceBuffers);
  from.input->ended = true;
  ASSERT_TRUE(one.world.run_until([&] { return from.identified || from.failed; }, hours(1)));
  EXPECT_FALSE(from.failed);
  EXPECT_TRUE(from.pipeline->walker().identity());
  EXPECT_FALSE(from.ended) << "it is longer than the pool";
}

TEST(SendPipeline, ComparingSendsNothingAndGivesTheSameDigest) {
  OneMachine one(4);
  SeededRandom& random = one.machine.random;
  std::vector<std::byte> bytes = random_bytes(random, 300'000);
  seal::SecretBytes key = seal::SecretBytes::random(random);
  std::vector<seal::StreamDigest> digests;
  for (bool compare_only : {true, false}) {
    Sending from(one.machine, bytes, 4096, {}, 200);
    from.input->ended = true;
    ASSERT_TRUE(one.world.run_until([&] { return from.identified; }, hours(1)));
    from.pipeline->begin(key.copy(), compare_only ? ResumePoint::compare_only() : ResumePoint());
    std::size_t blocks = 0;
    ASSERT_TRUE(one.world.run_until(
        [&] {
          while (from.pipeline->next_block(~0ull)) ++blocks;
          return from.pipeline->drained();
        },
        hours(1)));
    EXPECT_EQ(blocks > 0, !compare_only);
    EXPECT_EQ(from.pipeline->end().bytes, bytes.size());
    digests.push_back(from.pipeline->end().digest);
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST(SendPipeline, AnInputThatFailsOrEndsEarlyIsNoEnd) {
  OneMachine one(5);
  Sending failing(one.machine, random_bytes(one.machine.random, 100), 4096);
  failing.input->read_error = Error{Fault::kInputFailed, "EIO", {}};
  ASSERT_TRUE(one.world.run_until([&] { return failing.failed.has_value(); }, hours(1)));
  EXPECT_EQ(failing.failed->fault, Fault::kInputFailed);
  EXPECT_FALSE(failing.ended);
  std::vector<std::byte> stream = zfs_stream(one.machine.random, 300'000);
  stream.resize(stream.size() - 1);
  Sending cut(one.machine, stream, 4096, {}, 300);
  cut.input->ended = true;
  ASSERT_TRUE(one.world.run_until([&] { return cut.identified; }, hours(1)));
  cut.pipeline->begin(seal::SecretBytes::random(one.machine.random), ResumePoint::compare_only());
  ASSERT_TRUE(one.world.run_until([&] { return cut.pipeline->drained(); }, hours(1)));
  Status finished = cut.pipeline->finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().fault, Fault::kStreamIncomplete);
}

TEST(SendPipeline, NothingIsGivenBeyondTheCredit) {
  OneMachine one(6);
  Sending from(one.machine, random_bytes(one.machine.random, 40'000), 4096);
  from.input->ended = true;
  ASSERT_TRUE(one.world.run_until([&] { return from.identified; }, hours(1)));
  from.pipeline->begin(seal::SecretBytes::random(one.machine.random), {});
  one.world.run_for(seconds(1));
  EXPECT_FALSE(from.pipeline->next_block(0));
  EXPECT_TRUE(from.pipeline->next_block(1));
  EXPECT_FALSE(from.pipeline->next_block(1));
  EXPECT_TRUE(from.pipeline->next_block(2));
}

}  // namespace
}  // namespace zferry::pipeline
