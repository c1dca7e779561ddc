// What a peer may do to the receiving stages: copies, any order, blocks that are not welcome, FINALs that are wrong.
#include "pipeline/receive_pipeline.h"

#include <gtest/gtest.h>

#include "pack/pack.h"
#include "unit/pipeline/fake_destination.h"
#include "unit/pipeline/machine.h"

namespace zferry::pipeline {
namespace {

using namespace testing;

constexpr std::size_t kLeafBytes = 4096;
constexpr std::size_t kWindow = 6;

class Receive : public ::testing::Test {
 protected:
  Receive() {
    chain.emplace(key.copy(), kLeafBytes);
    pipeline.emplace(one.host(), std::make_unique<FakeDestination>(one.host().loop, end), key.copy(), kLeafBytes,
                     kWindow,
                     ReceivePipeline::Events{[this] { ++progress; }, [this](wire::Completion how) { finished = how; },
                                             [this](Error why) { note(std::move(why)); },
                                             [this](Error why) { note(std::move(why)); }});
  }
  // The source's fault or this end's own: the error tells which.
  void note(Error why) {
    EXPECT_FALSE(failed);
    failed = std::move(why);
  }
  SeededRandom& random() { return one.machine.random; }
  // The next block of the stream that the "source" read.
  wire::Block cut(std::size_t bytes) {
    std::vector<std::byte> raw = random_bytes(random(), bytes);
    auto length = static_cast<std::uint32_t>(bytes);
    wire::Block block{blocks.size(), stream.size(), length, length, wire::Encoding::kStored};
    stream.insert(stream.end(), raw.begin(), raw.end());
    chain->add_bytes(raw);
    blocks.push_back(block);
    return block;
  }
  void take(const wire::Block& block) { take(block, ConstBytes(stream).subspan(block.offset, block.packed_bytes)); }
  void take(const wire::Block& block, ConstBytes packed) {
    flow::Buffer buffer = pool.take();
    ASSERT_TRUE(buffer);
    std::copy(packed.begin(), packed.end(), buffer->begin());
    pipeline->take(block, {buffer, ConstBytes(*buffer).first(packed.size())});
  }
  wire::Final right_final() const { return {stream.size(), blocks.size(), chain->digest(), {}}; }
  void check(const wire::Final& final) {
    pipeline->check_final(final, [this](Status says) {
      EXPECT_FALSE(verdict);
      verdict = std::move(says);
    });
  }
  Fault verdict_on(const wire::Final& final) {
    check(final);
    one.world.run_for(seconds(1));
    if (!verdict) return Fault::kInternal;
    return *verdict ? Fault::kNone : verdict->error().fault;
  }
  Fault fault() {
    one.world.run_for(seconds(1));
    return failed ? failed->fault : Fault::kNone;
  }
  const std::vector<std::byte>& written() const { return end->wire->written; }

  OneMachine one{70};
  seal::SecretBytes key = seal::SecretBytes::random(one.machine.random);
  flow::BufferPool pool{30, kLeafBytes};
  std::shared_ptr<FakeEnd> end = std::make_shared<FakeEnd>();
  std::optional<seal::LeafChain> chain;
  std::vector<std::byte> stream;
  std::vector<wire::Block> blocks;
  std::optional<Error> failed;
  std::optional<Status> verdict;
  std::optional<wire::Completion> finished;
  int progress = 0;
  std::optional<ReceivePipeline> pipeline;
};

TEST_F(Receive, TheFirstCopyWinsAndOrderIsOfNoMatter) {
  for (int i = 0; i < 5; ++i) cut(1000);
  take(blocks[4]);
  take(blocks[1]);
  one.world.run_for(seconds(1));
  EXPECT_EQ(pipeline->received(), 0u);
  std::vector<std::byte> other = random_bytes(random(), 1000);
  take(blocks[1], other);  // not looked at: the block is there
  take(blocks[0]);
  EXPECT_EQ(pipeline->received(), 2u);
  take(blocks[0], other);
  take(blocks[3]);
  take(blocks[2]);
  take(blocks[2], other);
  EXPECT_EQ(pipeline->received(), 5u);
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  take(blocks[4], other);
  pipeline->release();
  EXPECT_EQ(fault(), Fault::kNone);
  EXPECT_EQ(written(), stream);
  EXPECT_EQ(finished, wire::Completion::kDelivered);
}

TEST_F(Receive, CreditGrowsWithWhatIsWrittenOnly) {
  end->wire->hold_writes = true;
  for (std::size_t i = 0; i < kWindow; ++i) take(cut(kLeafBytes));
  one.world.run_for(seconds(1));
  EXPECT_EQ(pipeline->received(), kWindow);
  EXPECT_EQ(pipeline->delivered(), 0u);
  EXPECT_EQ(pipeline->credit(), kWindow);
  end->wire->hold_writes = false;
  end->wire->wake();
  one.world.run_for(seconds(1));
  EXPECT_EQ(pipeline->delivered(), kWindow) << "the tail is a copy";
  EXPECT_EQ(pipeline->credit(), 2 * kWindow);
  EXPECT_EQ(written().size(), stream.size() - limits::kTailBytes);
  EXPECT_EQ(fault(), Fault::kNone);
  take({blocks.size() + kWindow, 0, 100, 100, wire::Encoding::kStored}, random_bytes(random(), 100));
  EXPECT_EQ(fault(), Fault::kProtocol) << "beyond the credit";
}

TEST_F(Receive, ABlockFarBeyondTheCreditTakesNoMemory) {
  take({limits::kBlocksMax - 1, 0, 1, 1, wire::Encoding::kStored}, random_bytes(random(), 1));
  EXPECT_EQ(fault(), Fault::kProtocol);
}

TEST_F(Receive, ABlockAtTheWrongPlace) {
  cut(1000);
  wire::Block moved = cut(1000);
  moved.offset += 1;
  take(blocks[0]);
  take(moved, random_bytes(random(), 1000));
  EXPECT_EQ(fault(), Fault::kProtocol);
  EXPECT_LE(written().size(), 1000u);
}

// A leaf counts only where it stands: the claim of a block to begin one is compared with the stream.
TEST_F(Receive, AWholeLeafAtTheWrongPlace) {
  cut(1000);
  wire::Block moved = cut(kLeafBytes);
  moved.offset = kLeafBytes;
  take(blocks[0]);
  take(moved, random_bytes(random(), kLeafBytes));
  EXPECT_EQ(fault(), Fault::kProtocol);
}

TEST_F(Receive, ABlockLongerThanAgreed) {
  wire::Block block{0, 0, kLeafBytes + 1, 100, wire::Encoding::kZstd};
  take(block, random_bytes(random(), 100));
  EXPECT_EQ(fault(), Fault::kProtocol);
}

TEST_F(Receive, ABlockThatDoesNotUnpack) {
  wire::Block block{0, 0, 1000, 100, wire::Encoding::kZstd};
  take(block, random_bytes(random(), 100));
  EXPECT_EQ(fault(), Fault::kProtocol);
  EXPECT_TRUE(written().empty());
}

TEST_F(Receive, ABlockThatUnpacksToAnotherLength) {
  std::vector<std::byte> raw(1000, std::byte{1}), packed(1000);
  std::size_t bytes = pack::pack({pack::Mode::kAlways, 3}, pack::Hint::kUnknown, raw, packed);
  ASSERT_GT(bytes, 0u);
  take({0, 0, 1001, static_cast<std::uint32_t>(bytes), wire::Encoding::kZstd}, ConstBytes(packed).first(bytes));
  EXPECT_EQ(fault(), Fault::kProtocol);
}

TEST_F(Receive, AFinalWithAnotherDigest) {
  take(cut(3000));
  wire::Final wrong = right_final();
  wrong.digest[5] ^= std::byte{1};
  EXPECT_EQ(verdict_on(wrong), Fault::kDigestMismatch);
  EXPECT_EQ(written().size(), 3000 - limits::kTailBytes);
}

TEST_F(Receive, AFinalWithAnotherLength) {
  take(cut(3000));
  wire::Final wrong = right_final();
  wrong.stream_bytes += 1;
  EXPECT_EQ(verdict_on(wrong), Fault::kProtocol);
}

TEST_F(Receive, AFinalOfFewerBlocks) {
  for (int i = 0; i < 3; ++i) take(cut(100));
  one.world.run_for(seconds(1));
  wire::Final wrong = right_final();
  wrong.blocks = 2;
  EXPECT_EQ(verdict_on(wrong), Fault::kProtocol);
}

// The digest of the first block is right, and the second is still in work: no stream ends there.
TEST_F(Receive, AFinalBeforeABlockThatIsInWork) {
  take(cut(1000));
  wire::Final early = right_final();
  one.world.run_for(seconds(1));
  one.machine.workers.hold = true;
  take(cut(1000));
  one.world.run_for(seconds(1));
  check(early);
  one.machine.workers.release();
  one.world.run_for(seconds(1));
  ASSERT_TRUE(verdict);
  ASSERT_FALSE(verdict->ok());
  EXPECT_EQ(verdict->error().fault, Fault::kProtocol);
}

TEST_F(Receive, AFinalWaitsForItsBlocks) {
  for (int i = 0; i < 4; ++i) cut(1000);
  take(blocks[3]);
  take(blocks[0]);
  check(right_final());
  one.world.run_for(seconds(1));
  EXPECT_FALSE(verdict);
  take(blocks[2]);
  take(blocks[1]);
  one.world.run_for(seconds(1));
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->ok());
}

TEST_F(Receive, AFinalTwiceAndABlockBehindIt) {
  take(cut(1000));
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  verdict.reset();
  wire::Final again = right_final();
  pipeline->check_final(again, [](const Status&) { ADD_FAILURE() << "no second verdict"; });
  EXPECT_EQ(fault(), Fault::kProtocol);
}

TEST_F(Receive, ABlockFromBeyondFinal) {
  take(cut(1000));
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  take(cut(1000));
  EXPECT_EQ(fault(), Fault::kProtocol);
  EXPECT_EQ(written().size(), 1000 - limits::kTailBytes);
}

TEST_F(Receive, AnEmptyStreamHasItsFinalToo) {
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  pipeline->release();
  EXPECT_EQ(fault(), Fault::kNone);
  EXPECT_TRUE(finished);
}

TEST_F(Receive, AWriteThatFailsEndsItOnce) {
  end->wire->write_error = Error{Fault::kOutputFailed, "ENOSPC", {}};
  for (int i = 0; i < 4; ++i) take(cut(2000));
  EXPECT_EQ(fault(), Fault::kOutputFailed);
  take(cut(2000));
  one.world.run_for(seconds(1));
  pipeline->release();
  one.world.run_for(seconds(1));
  EXPECT_EQ(end->finished, 0);
}

TEST_F(Receive, NothingIsWrittenOnceItIsDropped) {
  for (int i = 0; i < 3; ++i) take(cut(2000));
  one.world.run_for(seconds(1));
  std::size_t before = written().size();
  EXPECT_GT(before, 0u);
  end->wire->hold_writes = true;
  take(cut(2000));
  bool gone = false;
  pipeline->drop([&] { gone = true; });
  one.world.run_for(seconds(1));
  EXPECT_TRUE(gone);
  before = written().size();
  end->wire->hold_writes = false;
  end->wire->wake();
  take(cut(100));
  pipeline->release();
  one.world.run_for(seconds(1));
  EXPECT_EQ(written().size(), before);
  EXPECT_EQ(end->finished, 0);
  EXPECT_EQ(end->dropped, 1);
}

}  // namespace
}  // namespace zferry::pipeline
