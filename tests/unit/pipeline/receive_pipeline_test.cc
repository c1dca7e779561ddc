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
  // The source's next run: it forgets what it cut from `kept` on, and so does the stream.
  void forget_from(std::size_t kept) {
    stream.resize(kept < blocks.size() ? blocks[kept].offset : stream.size());
    blocks.resize(std::min(kept, blocks.size()));
    chain.emplace(key.copy(), kLeafBytes);
    chain->add_bytes(stream);
  }
  // A block that does compress; its stream goes on by it.
  void take_packed(std::size_t bytes) {
    wire::Block block = cut(bytes);
    std::fill(stream.end() - static_cast<std::ptrdiff_t>(bytes), stream.end(), static_cast<std::byte>(blocks.size()));
    chain.emplace(key.copy(), kLeafBytes);
    chain->add_bytes(stream);
    std::vector<std::byte> packed(bytes);
    std::size_t count =
        pack::pack({pack::Mode::kAlways, 3}, pack::Hint::kUnknown, ConstBytes(stream).last(bytes), packed);
    ASSERT_GT(count, 0u);
    block.encoding = wire::Encoding::kZstd;
    block.packed_bytes = static_cast<std::uint32_t>(count);
    take(block, ConstBytes(packed).first(count));
  }
  void rewind() {
    rewound = false;
    pipeline->rewind([this] { rewound = true; });
  }

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
  bool rewound = false;
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

TEST_F(Receive, TheSameFinalAgainHasTheSameVerdict) {
  take(cut(1000));
  wire::Block last = cut(1000);
  check(right_final());
  pipeline->check_final(right_final(), [this](Status says) { verdict = std::move(says); });  // the latest is told
  one.world.run_for(seconds(1));
  EXPECT_FALSE(verdict);
  verdict = Error{};  // check()'s own would object to this
  take(last);
  one.world.run_for(seconds(1));
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->ok());
  verdict.reset();
  wire::Final again = right_final();
  again.producer = wire::ProducerExit::kSuccess;  // another run may know more of it
  check(again);
  ASSERT_TRUE(verdict) << "at once";
  EXPECT_TRUE(verdict->ok());
  take(last);  // a copy behind FINAL
  EXPECT_EQ(fault(), Fault::kNone);
}

TEST_F(Receive, AFinalAfterAnotherOne) {
  take(cut(1000));
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  wire::Final other = right_final();
  other.digest[7] ^= std::byte{1};
  pipeline->check_final(other, [](const Status&) { ADD_FAILURE() << "no second verdict"; });
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

TEST_F(Receive, ACopyHoldsNoBuffer) {
  one.machine.workers.hold = true;
  for (int i = 0; i < 3; ++i) cut(1000);
  take(blocks[0]);
  take(blocks[2]);
  EXPECT_EQ(pool.free_buffers(), 28u);
  for (int i = 0; i < 40; ++i) take(blocks[i % 2 == 0 ? 0 : 2]);
  EXPECT_EQ(pool.free_buffers(), 28u);
  EXPECT_EQ(one.machine.workers.jobs, 2u);
  one.machine.workers.release();
  EXPECT_EQ(fault(), Fault::kNone);
}

TEST_F(Receive, WhatArrivedBeyondTheGapIsTold) {
  using Words = std::vector<std::uint64_t>;
  for (int i = 0; i < 6; ++i) cut(1000);
  EXPECT_EQ(pipeline->beyond(), Words());
  take(blocks[0]);
  EXPECT_EQ(pipeline->beyond(), Words());
  take(blocks[2]);
  EXPECT_EQ(pipeline->beyond(), Words{0b10});
  take(blocks[5]);
  EXPECT_EQ(pipeline->beyond(), Words{0b10010});
  one.world.run_for(seconds(1));
  EXPECT_EQ(pipeline->beyond(), Words{0b10010}) << "worked or not";
  take(blocks[1]);
  EXPECT_EQ(pipeline->received(), 3u);
  EXPECT_EQ(pipeline->beyond(), Words{0b100});
  take(blocks[3]);
  take(blocks[4]);
  EXPECT_EQ(pipeline->beyond(), Words());
}

TEST_F(Receive, BeyondTakesSeveralWords) {
  ReceivePipeline wide(
      one.host(), std::make_unique<FakeDestination>(one.host().loop, end), key.copy(), kLeafBytes, 200,
      ReceivePipeline::Events{[] {}, [](wire::Completion) {}, [](const Error&) {}, [](const Error&) {}});
  flow::Buffer buffer = pool.take();
  for (std::uint64_t number : {1, 63, 64, 127, 128, 199})
    wide.take({number, 0, 1, 1, wire::Encoding::kStored}, {buffer, ConstBytes(*buffer).first(1)});
  const std::vector<std::uint64_t> expected{(1ull << 63) | 2, (1ull << 63) | 1, 1, 1ull << 7};
  EXPECT_EQ(wide.beyond(), expected);
}

TEST_F(Receive, ARewindForgetsWhatIsBeyondTheGap) {
  take(cut(1000));
  take(cut(1000));
  cut(1000);
  take(cut(1000));
  check(right_final());
  rewind();
  EXPECT_FALSE(rewound) << "from the loop";
  EXPECT_TRUE(pipeline->beyond().empty());
  one.world.run_for(seconds(1));
  EXPECT_TRUE(rewound);
  ResumePoint point = pipeline->resume_point();
  EXPECT_EQ(point.next_number, 2u);
  EXPECT_EQ(point.offset, 2000u);
  ASSERT_EQ(point.marks.size(), 1u);
  EXPECT_TRUE(point.check().ok());
  forget_from(2);
  EXPECT_EQ(point.marks[0], (seal::ChainMark{2000, chain->digest()}));
  for (int i = 0; i < 5; ++i) take(cut(700));
  one.world.run_for(seconds(1));
  EXPECT_EQ(pipeline->received(), 7u);
  EXPECT_FALSE(verdict) << "the FINAL of the earlier run is void";
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  pipeline->release();
  EXPECT_EQ(fault(), Fault::kNone);
  EXPECT_EQ(written(), stream);
}

TEST_F(Receive, ARewindWaitsForTheJobsThatItKeepsAndForNoOthers) {
  one.machine.workers.hold = true;
  take(cut(1000));
  take(cut(1000));
  cut(1000);
  take(cut(1000));  // beyond the gap
  wire::Block lost = blocks[2];
  rewind();
  one.world.run_for(seconds(1));
  EXPECT_FALSE(rewound);
  take(lost);  // nothing is taken now
  EXPECT_EQ(pipeline->received(), 2u);
  auto held = std::move(one.machine.workers.held);
  one.machine.workers.held.clear();
  one.machine.workers.hold = false;
  ASSERT_EQ(held.size(), 3u);
  one.host().loop.post(held[0]);
  one.world.run_for(seconds(1));
  EXPECT_FALSE(rewound);
  one.host().loop.post(held[1]);
  one.world.run_for(seconds(1));
  EXPECT_TRUE(rewound);
  forget_from(2);
  // The next run's blocks under the same numbers come and go before the forgotten block's job ends.
  take(cut(1500));
  take(cut(300));
  one.world.run_for(seconds(1));
  take(cut(900));
  one.host().loop.post(held[2]);
  one.world.run_for(seconds(1));
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  pipeline->release();
  EXPECT_EQ(fault(), Fault::kNone);
  EXPECT_EQ(written(), stream);
}

TEST_F(Receive, ALateJobInThePlaceOfABlockThatIsInWork) {
  one.machine.workers.hold = true;
  cut(1000);
  take(cut(1000));
  rewind();
  one.world.run_for(seconds(1));
  EXPECT_TRUE(rewound);
  forget_from(0);
  take(cut(500));
  take(cut(600));
  auto held = std::move(one.machine.workers.held);
  one.machine.workers.held.clear();
  ASSERT_EQ(held.size(), 3u);
  for (std::size_t i : {0, 1, 2}) {
    one.host().loop.post(held[i]);
    one.world.run_for(seconds(1));
    EXPECT_EQ(pipeline->resume_point().next_number, i);
  }
  one.machine.workers.hold = false;
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
}

// Jobs of forgotten blocks hold all the room that there is: the next run's blocks wait for it.
TEST_F(Receive, ForgottenJobsThatHoldTheRoomAreWaitedFor) {
  int rounds = 0;
  for (std::size_t kept : {0u, 2u}) {
    one.machine.workers.hold = true;
    std::size_t base = blocks.size();
    for (std::size_t i = 0; i < kWindow; ++i) {
      if (i == kept) {
        cut(100);  // the gap
      } else {
        take_packed(kLeafBytes);
      }
    }
    rewind();
    for (std::size_t i = 0; i < kept; ++i) {
      one.host().loop.post(std::move(one.machine.workers.held.front()));
      one.machine.workers.held.pop_front();
    }
    one.world.run_for(seconds(1));
    ASSERT_TRUE(rewound);
    ASSERT_EQ(pipeline->resume_point().next_number, base + kept);
    forget_from(base + kept);
    std::uint64_t jobs = one.machine.workers.jobs;
    std::uint64_t welcome = pipeline->credit();
    while (blocks.size() < welcome) take_packed(kLeafBytes);
    one.world.run_for(seconds(1));
    EXPECT_LT(one.machine.workers.jobs - jobs, kWindow - kept) << "some must wait";
    EXPECT_EQ(pipeline->received(), welcome);
    one.machine.workers.release();
    one.world.run_for(seconds(1));
    ASSERT_FALSE(failed);
    EXPECT_EQ(pipeline->resume_point().next_number, welcome);
    ++rounds;
  }
  EXPECT_EQ(rounds, 2);
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  pipeline->release();
  EXPECT_EQ(fault(), Fault::kNone);
  EXPECT_EQ(written(), stream);
}

TEST_F(Receive, AForgottenBlockThatWaitedForRoomIsLetGo) {
  one.machine.workers.hold = true;
  for (int run = 0; run < 2; ++run) {
    forget_from(0);
    cut(100);  // the gap
    while (blocks.size() < kWindow) take_packed(kLeafBytes);
    EXPECT_EQ(one.machine.workers.jobs, kWindow - 1u + static_cast<unsigned>(run))
        << "one buffer is left for the second";
    rewind();
    one.world.run_for(seconds(1));
    ASSERT_TRUE(rewound);
  }
  one.machine.workers.release();
  one.world.run_for(seconds(1));
  EXPECT_EQ(one.machine.workers.jobs, kWindow);
  EXPECT_EQ(pool.free_buffers(), 30u);
  EXPECT_EQ(fault(), Fault::kNone);
}

// The stream was whole: a run that comes after that finds all of it and has nothing but its FINAL to say.
TEST_F(Receive, ARewindAfterTheVerdict) {
  for (int i = 0; i < 3; ++i) take(cut(1000));
  EXPECT_EQ(verdict_on(right_final()), Fault::kNone);
  verdict.reset();
  rewind();
  one.world.run_for(seconds(1));
  EXPECT_TRUE(rewound);
  EXPECT_EQ(pipeline->resume_point().next_number, 3u);
  EXPECT_EQ(pipeline->resume_point().offset, stream.size());
  check(right_final());
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->ok());
  pipeline->release();
  EXPECT_EQ(fault(), Fault::kNone);
  EXPECT_EQ(written(), stream);
}

TEST_F(Receive, TheLatestOfTwoRewindsIsTold) {
  one.machine.workers.hold = true;
  take(cut(1000));
  int told = 0;
  pipeline->rewind([&] { told += 1; });
  pipeline->rewind([&] { told += 10; });
  one.machine.workers.release();
  one.world.run_for(seconds(1));
  EXPECT_EQ(told, 10);
  pipeline->rewind([&] { told += 100; });
  pipeline->rewind([&] { told += 1000; });
  one.world.run_for(seconds(1));
  EXPECT_EQ(told, 1010);
}

}  // namespace
}  // namespace zferry::pipeline
