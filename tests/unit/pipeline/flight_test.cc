// Blocks on the link: what is acknowledged is gone, what lost its lane goes again, in order, and nothing else does;
// against a model that knows only sets.
#include "pipeline/flight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"

namespace zferry::pipeline {
namespace {

constexpr std::size_t kBytes = 100;  // of a block, raw; packed it is half of that

class Flights : public ::testing::Test {
 protected:
  void add(std::uint64_t number, std::uint64_t lane) {
    flow::Buffer buffer = pool.take();
    ASSERT_TRUE(buffer);
    wire::Block header{number, number * kBytes, kBytes, kBytes / 2, wire::Encoding::kZstd};
    flight.add(header, {buffer, ConstBytes(*buffer).first(kBytes / 2)}, lane, now);
  }
  void add_all(std::uint64_t count, std::uint64_t lanes) {
    for (std::uint64_t number = 0; number < count; ++number) add(number, number % lanes);
  }
  std::vector<std::uint64_t> take_all(std::uint64_t lane) {
    std::vector<std::uint64_t> numbers;
    while (flight.has_homeless()) {
      Flight::Passenger passenger = flight.take_homeless(lane);
      EXPECT_EQ(passenger.packed.bytes.size(), kBytes / 2) << "its bytes are still there";
      EXPECT_EQ(passenger.header.offset, passenger.header.number * kBytes);
      numbers.push_back(passenger.header.number);
    }
    return numbers;
  }
  void ack(std::uint64_t received, std::vector<std::uint64_t> beyond = {}) {
    flight.acknowledge({received, 0, 0, std::move(beyond)});
  }

  TimePoint now{};
  flow::BufferPool pool{2000, kBytes};
  Flight flight;
  using Numbers = std::vector<std::uint64_t>;
};

TEST_F(Flights, WhatIsReceivedIsGone) {
  add_all(10, 1);
  ack(4);
  EXPECT_EQ(flight.blocks(), 6u);
  EXPECT_EQ(flight.acknowledged_bytes(), 4 * kBytes);
  ack(10);
  EXPECT_EQ(flight.blocks(), 0u);
  EXPECT_EQ(flight.acknowledged_bytes(), 10 * kBytes);
  flight.lane_lost(0, 0);
  EXPECT_FALSE(flight.has_homeless());
}

TEST_F(Flights, AStoreMustHaveItBeforeItIsGone) {
  add_all(10, 1);
  flight.acknowledge({6, 0, 0, {0b10}, 2, 0, wire::Keep::kStore});
  EXPECT_EQ(flight.blocks(), 8u);
  EXPECT_EQ(flight.acknowledged_bytes(), 2 * kBytes);
  flight.lane_lost(0, 0);
  EXPECT_EQ(take_all(1), (Numbers{6, 8, 9})) << "what was received does not go again after a cut";
  flight.acknowledge({10, 0, 0, {}, 10, 0, wire::Keep::kStore});
  EXPECT_EQ(flight.blocks(), 0u);
}

TEST_F(Flights, AStoreThatFailedIsNotWaitedFor) {
  add_all(10, 1);
  flight.acknowledge({6, 0, 0, {}, 2, 0, wire::Keep::kStore});
  flight.acknowledge({6, 0, 0, {}, 2, 0, wire::Keep::kStoreLost});
  EXPECT_EQ(flight.blocks(), 4u);
}

TEST_F(Flights, ATargetThatIsStartedAnewGetsWhatItLost) {
  add_all(10, 1);
  flight.acknowledge({6, 0, 0, {0b10}, 2, 0, wire::Keep::kStore});  // 0..5 and 7 received, 0 and 1 for good
  EXPECT_TRUE(flight.acknowledge_anew({3, 0, 0, {0b100}, 3, 1, wire::Keep::kStore}));  // 0..2 and 5 survived
  EXPECT_EQ(flight.first_homeless().number, 3u);
  EXPECT_EQ(take_all(2), (Numbers{3, 4, 6, 7, 8, 9}));
  EXPECT_EQ(flight.sent_again_bytes(), 6 * kBytes / 2);
  EXPECT_EQ(flight.acknowledged_bytes(), 3 * kBytes);
  EXPECT_FALSE(flight.acknowledge_anew({2, 0, 0, {}, 2, 2, wire::Keep::kStore}))
      << "it had said that it had it for good";
}

TEST_F(Flights, ALostLanesBlocksGoAgainTheLowestFirst) {
  add_all(12, 3);
  ack(2);
  flight.lane_lost(1, 0);
  EXPECT_EQ(take_all(5), (Numbers{4, 7, 10}));
  flight.lane_lost(0, 0);
  flight.lane_lost(2, 0);
  EXPECT_EQ(take_all(6), (Numbers{2, 3, 5, 6, 8, 9, 11}));
  flight.lane_lost(5, 0);
  EXPECT_EQ(take_all(6), (Numbers{4, 7, 10})) << "they had moved";
  flight.lane_lost(1, 0);
  EXPECT_FALSE(flight.has_homeless()) << "nothing of it is left";
}

TEST_F(Flights, WhatArrivedBeyondAGapIsNotSentAgain) {
  add_all(200, 1);
  // 3 is missing; 4 .. 9 and 70, 130 are there.
  ack(3, {0b1111110, std::uint64_t{1} << (70 - 3 - 64) | std::uint64_t{1} << (130 - 3 - 64)});
  EXPECT_EQ(flight.blocks(), 197u);
  EXPECT_EQ(flight.acknowledged_bytes(), 3 * kBytes);
  flight.lane_lost(0, 0);
  Numbers again = take_all(1);
  EXPECT_EQ(again.size(), 197u - 8);
  for (std::uint64_t there : {4, 5, 6, 7, 8, 9, 70, 130}) EXPECT_EQ(std::count(again.begin(), again.end(), there), 0);
  ack(10);
  EXPECT_EQ(flight.acknowledged_bytes(), 10 * kBytes);
  EXPECT_EQ(flight.blocks(), 190u);
}

TEST_F(Flights, AnAckTakesTheHomelessWithIt) {
  add_all(10, 1);
  flight.lane_lost(0, 0);
  ack(4, {0b10});
  EXPECT_EQ(take_all(1), (Numbers{4, 6, 7, 8, 9}));
}

TEST_F(Flights, AnAckThatGoesBackChangesNothing) {
  add_all(20, 1);
  ack(10, {0b110});
  for (std::uint64_t older = 0; older <= 10; ++older) {
    ack(older);
    EXPECT_EQ(flight.blocks(), 10u);
    EXPECT_EQ(flight.acknowledged_bytes(), 10 * kBytes);
  }
  ack(0, {~std::uint64_t{0} >> 52});  // blocks 0 .. 11: of an ACK that was overtaken, and true all the same
  EXPECT_EQ(flight.acknowledged_bytes(), 10 * kBytes);
  flight.lane_lost(0, 0);
  EXPECT_EQ(take_all(1), (Numbers{13, 14, 15, 16, 17, 18, 19}));
}

// What was never sent, and words beyond what there is.
TEST_F(Flights, AnAckOfWhatIsNotThereChangesNothing) {
  ack(0, std::vector<std::uint64_t>(16, ~std::uint64_t{0}));
  EXPECT_EQ(flight.blocks(), 0u);
  add_all(3, 1);
  ack(3, std::vector<std::uint64_t>(16, ~std::uint64_t{0}));
  add(3, 0);
  flight.lane_lost(0, 0);
  EXPECT_EQ(take_all(1), Numbers{3}) << "it was added after that ACK";
}

TEST_F(Flights, MemoryIsLetGoWhenTheTargetHasIt) {
  flow::BufferPool two(2, kBytes);
  for (std::uint64_t number : {0, 1}) {
    flow::Buffer buffer = two.take();
    flight.add({number, number, 1, 1, wire::Encoding::kStored}, {buffer, ConstBytes(*buffer).first(1)}, 0, {});
  }
  EXPECT_FALSE(two.take());
  ack(0, {0b10});
  EXPECT_TRUE(two.take()) << "block 1 is there, though block 0 is not";
  ack(2);
  flow::Buffer one = two.take();
  EXPECT_TRUE(one && two.take());
}

// Sent again is what had left this host: the last that the lane was given had not.
TEST_F(Flights, OnlyWhatHadLeftIsSentAgain) {
  add_all(10, 1);
  flight.lane_lost(0, 3 * kBytes / 2 + 20);
  EXPECT_EQ(flight.sent_again_bytes(), 7 * kBytes / 2 - 20);
  take_all(1);
  flight.lane_lost(1, 1'000'000);
  EXPECT_EQ(flight.sent_again_bytes(), 7 * kBytes / 2 - 20) << "none of it had";
  take_all(2);
  flight.lane_lost(2, 0);
  EXPECT_EQ(flight.sent_again_bytes(), 7 * kBytes / 2 - 20 + 10 * kBytes / 2);
  flight.lane_lost(2, 0);
  EXPECT_EQ(flight.sent_again_bytes(), 7 * kBytes / 2 - 20 + 10 * kBytes / 2) << "counted once";
}

// The same by sets alone.
struct Model {
  struct Block {
    std::uint64_t lane;
    bool there = false;
    bool homeless = false;
  };
  std::map<std::uint64_t, Block> blocks;
  std::uint64_t received = 0;

  void acknowledge(std::uint64_t below, const std::vector<std::uint64_t>& beyond) {
    received = std::max(received, below);
    std::erase_if(blocks, [&](const auto& entry) { return entry.first < below; });
    for (auto& [number, block] : blocks)
      if (number >= below && number - below < beyond.size() * 64 &&
          (beyond[(number - below) / 64] >> ((number - below) % 64) & 1) != 0)
        block.there = true;
  }
  std::vector<std::uint64_t> homeless() const {
    std::vector<std::uint64_t> numbers;
    for (const auto& [number, block] : blocks)
      if (block.homeless && !block.there) numbers.push_back(number);
    return numbers;
  }
};

TEST_F(Flights, AgreesWithTheModel) {
  int losses = 0, again = 0, steps = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SeededRandom random(seed);
    flight = Flight();
    Model model;
    std::uint64_t next = 0;
    for (int step = 0; step < 300; ++step, ++steps) {
      std::uint64_t lane = random.below(4);
      switch (random.below(5)) {
        case 0:
        case 1:
          if (model.blocks.size() >= 150) break;
          add(next, lane);
          model.blocks[next++] = {lane};
          break;
        case 2: {
          std::uint64_t below = random.chance(0.2) ? random.below(next + 1) : model.received + random.below(3);
          below = std::min(below, next);
          std::vector<std::uint64_t> beyond(random.below(4));
          for (std::uint64_t& word : beyond) word = random.next() & random.next() & random.next();
          ack(below, beyond);
          model.acknowledge(below, beyond);
          break;
        }
        case 3:
          if (!random.chance(0.3)) break;
          flight.lane_lost(lane, random.below(1000));
          for (auto& [number, block] : model.blocks) block.homeless |= block.lane == lane;
          ++losses;
          break;
        default: {
          if (!flight.has_homeless()) break;
          std::uint64_t number = flight.take_homeless(lane).header.number;
          ASSERT_EQ(number, model.homeless().front());
          model.blocks[number] = {lane};
          ++again;
        }
      }
      ASSERT_EQ(flight.blocks(), model.blocks.size());
      ASSERT_EQ(flight.has_homeless(), !model.homeless().empty());
      ASSERT_EQ(flight.acknowledged_bytes(), model.received * kBytes);
    }
    Numbers left = model.homeless();
    ASSERT_EQ(take_all(9), left);
  }
  EXPECT_EQ(steps, 60'000);
  EXPECT_GT(losses, 1000);
  EXPECT_GT(again, 3000);
}

TEST_F(Flights, CopiesWhatALaneIsLateWithOnceAndOnAnotherLane) {
  for (std::uint64_t number = 0; number < 6; ++number) {
    now.since_start += Duration(10);
    add(number, number == 1 ? 7 : 0);
  }
  EXPECT_FALSE(flight.take_copy(0, now, 1)) << "none has overtaken another";
  ack(1, {0b1110});  // 2, 3 and 4 are there (bits count from block 1)
  EXPECT_FALSE(flight.take_copy(7, now, 1)) << "it is on that lane";
  EXPECT_FALSE(flight.take_copy(0, now, 4)) << "too few have overtaken it";
  EXPECT_FALSE(flight.take_copy(0, {Duration(19)}, 3)) << "it went later than that";
  auto copy = flight.take_copy(0, now, 3);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->header.number, 1u);
  EXPECT_EQ(copy->packed.bytes.size(), kBytes / 2);
  EXPECT_EQ(flight.copied_bytes(), kBytes / 2);
  EXPECT_FALSE(flight.take_copy(0, now, 3)) << "one copy each";
  flight.lane_lost(7, 0);
  EXPECT_EQ(take_all(0), std::vector<std::uint64_t>{1}) << "its own lane is gone; the copy may be lost as well";
}

}  // namespace
}  // namespace zferry::pipeline
