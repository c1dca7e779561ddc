// Frames that break the rules, from a peer that holds the keys, and frames at every bound: the opener takes what is
// right and refuses the rest, without a step out of its buffers.
#include "pipeline/lane_receiver.h"

#include <gtest/gtest.h>

#include "unit/pipeline/fake_stream.h"
#include "unit/pipeline/machine.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using wire::FrameType;

class Frames : public ::testing::Test {
 protected:
  Frames() { new_keys(); }
  void new_keys() {
    EstablishedLane other;
    give_keys(one.machine.random, peer, other);
    opener_ = std::move(other.opener);
  }
  SeededRandom& random() { return one.machine.random; }
  void frame(FrameType type, ConstBytes plaintext) {
    auto header = wire::encode_frame_header(type, plaintext.size());
    flow.insert(flow.end(), header.begin(), header.end());
    flow.resize(flow.size() + plaintext.size() + seal::kTagBytes);
    peer.sealer->seal(header, plaintext, Bytes(flow).last(plaintext.size() + seal::kTagBytes));
  }
  void block(std::uint32_t bytes) {
    frame(FrameType::kBlock, wire::encode(wire::Block{0, 0, bytes, bytes, wire::Encoding::kStored}));
  }
  void data(std::size_t bytes) { frame(FrameType::kData, random_bytes(random(), bytes)); }

  void small_flow() {
    block(600);
    data(300);
    data(300);
    frame(FrameType::kDone, {});
  }

  FrameOpener new_opener() { return {std::move(opener_), pool}; }
  std::unique_ptr<seal::Opener> take_opener() { return std::move(opener_); }
  // All at once, as whole frames.
  Status open() {
    FrameOpener opener(std::move(opener_), pool);
    auto taken = opener.open(flow, arrivals);
    if (!taken) return taken.take_error();
    EXPECT_EQ(*taken, flow.size());
    return {};
  }
  // Through a stream, in pieces; what the receiver says at last.
  Fault receive(std::size_t read_bytes_max) {
    auto wire = std::make_shared<FakeWire>();
    wire->to_read = flow;
    wire->read_bytes_max = read_bytes_max;
    wire->ended = true;
    FakeStream stream(one.host().loop, wire, 5);
    std::optional<Fault> end;
    LaneReceiver::Events events;
    events.heard = [] {};
    events.arrived = [this](std::vector<Arrival> some) {
      for (Arrival& each : some) arrivals.push_back(std::move(each));
    };
    events.failed = [&](const Error& why) { end = why.fault; };
    events.broke = [&](const Error& why) { end = why.fault; };
    events.ended = [&] { end = Fault::kNone; };
    LaneSettings settings = lane_settings();
    LaneReceiver receiver(one.host(), settings, stream, std::move(opener_), pool, std::move(events));
    receiver.start();
    EXPECT_TRUE(one.world.run_until([&] { return end.has_value(); }, hours(1)));
    return end.value_or(Fault::kInternal);
  }

  OneMachine one{50};
  EstablishedLane peer{};
  std::vector<std::byte> flow;
  flow::BufferPool pool{3, 10'000};
  std::vector<Arrival> arrivals;

 private:
  std::unique_ptr<seal::Opener> opener_;
};

TEST_F(Frames, ABlockOfManyFramesIsOneArrival) {
  block(9000);
  for (int i = 0; i < 9; ++i) data(1000);
  frame(FrameType::kDone, {});
  ASSERT_TRUE(open().ok());
  ASSERT_EQ(arrivals.size(), 2u);
  EXPECT_EQ(arrivals[0].packed.bytes.size(), 9000u);
  EXPECT_EQ(arrivals[1].type, FrameType::kDone);
}

TEST_F(Frames, DataWithoutABlock) {
  frame(FrameType::kDone, {});
  data(1);
  Status opened = open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().fault, Fault::kProtocol);
  EXPECT_EQ(arrivals.size(), 1u) << "what came before";
}

TEST_F(Frames, MoreDataThanTheBlock) {
  block(5000);
  data(4999);
  data(2);
  EXPECT_EQ(receive(1000), Fault::kProtocol);
  EXPECT_TRUE(arrivals.empty());
}

TEST_F(Frames, DataBehindAWholeBlock) {
  block(5000);
  data(5000);
  data(1);
  EXPECT_EQ(receive(100'000), Fault::kProtocol);
}

TEST_F(Frames, ABlockWithinABlock) {
  block(5000);
  data(4999);
  block(5000);
  Status opened = open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().fault, Fault::kProtocol);
}

TEST_F(Frames, ABlockLongerThanTheBuffers) {
  block(10'001);
  data(10'001);
  Status opened = open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().fault, Fault::kProtocol);
}

// All that is in the pool is held by blocks: what comes next waits where it is, and nothing of it is lost.
TEST_F(Frames, ABlockWithoutABufferWaitsForOne) {
  for (int i = 0; i < 5; ++i) {
    block(9'900);
    data(4000);
    data(5900);
    frame(FrameType::kAck, random_bytes(random(), 25));
  }
  FrameOpener opener = new_opener();
  std::size_t at = 0;
  auto more = [&] {
    auto taken = opener.open(ConstBytes(flow).subspan(at), arrivals);
    ASSERT_TRUE(taken.ok()) << taken.error().what;
    at += *taken;
  };
  more();
  EXPECT_EQ(arrivals.size(), 6u) << "three blocks, and what came behind each";
  EXPECT_LT(at, flow.size());
  const std::size_t stopped = at;
  more();
  EXPECT_EQ(at, stopped) << "still none";
  arrivals.erase(arrivals.begin(), arrivals.begin() + 2);
  more();
  EXPECT_GT(at, stopped);
  EXPECT_LT(at, flow.size());
  EXPECT_EQ(arrivals.size(), 6u) << "another, that the first one made room for";
  arrivals.clear();
  more();
  EXPECT_EQ(at, flow.size());
  ASSERT_EQ(arrivals.size(), 2u);
  EXPECT_EQ(arrivals[0].packed.bytes.size(), 9900u);
}

TEST_F(Frames, ALaneWithoutABufferNeitherBreaksNorLosesAnything) {
  for (int i = 0; i < 40; ++i) {
    block(9900);
    for (int piece = 0; piece < 9; ++piece) data(1100);
  }
  frame(FrameType::kDone, {});
  auto wire = std::make_shared<FakeWire>();
  wire->to_read = flow;
  FakeStream stream(one.host().loop, wire, 5);
  std::size_t blocks = 0;
  bool done = false;
  LaneReceiver::Events events;
  events.heard = [] {};
  events.arrived = [&](std::vector<Arrival> some) {
    for (Arrival& each : some) {
      done |= each.type == FrameType::kDone;
      if (each.type == FrameType::kBlock) ++blocks, arrivals.push_back(std::move(each));
    }
  };
  events.failed = [](const Error& why) { ADD_FAILURE() << why.what; };
  events.broke = events.failed;
  events.ended = [] {};
  LaneSettings settings = lane_settings();
  settings.block_bytes = 10'000;
  LaneReceiver receiver(one.host(), settings, stream, take_opener(), pool, std::move(events));
  receiver.start();
  one.world.run_for(seconds(60));
  EXPECT_EQ(blocks, 3u) << "as many as the pool has";
  EXPECT_LT(wire->read_so_far, flow.size()) << "the kernel's buffer holds the rest";
  int rounds = 0;
  for (; !done && rounds < 100; ++rounds) {
    if (!arrivals.empty()) arrivals.pop_back();
    one.world.run_for(milliseconds(50));
  }
  EXPECT_TRUE(done);
  EXPECT_EQ(blocks, 40u);
  EXPECT_GE(rounds, 37) << "one at a time";
}

// A lane that waits for a buffer may be ended there, and nothing is left of it.
TEST_F(Frames, ALaneMayEndWhileItWaitsForABuffer) {
  for (int i = 0; i < 4; ++i) {
    block(10);
    data(10);
  }
  auto wire = std::make_shared<FakeWire>();
  wire->to_read = flow;
  FakeStream stream(one.host().loop, wire, 5);
  LaneReceiver::Events events;
  events.heard = [] {};
  events.arrived = [&](std::vector<Arrival> some) {
    for (Arrival& each : some) arrivals.push_back(std::move(each));
  };
  events.failed = [](const Error& why) { ADD_FAILURE() << why.what; };
  events.broke = events.failed;
  events.ended = [] { ADD_FAILURE(); };
  LaneSettings settings = lane_settings();
  auto receiver = std::make_unique<LaneReceiver>(one.host(), settings, stream, take_opener(), pool, std::move(events));
  receiver->start();
  ASSERT_TRUE(one.world.run_until([&] { return arrivals.size() == 3; }, seconds(10)));
  one.world.run_for(milliseconds(20));
  receiver.reset();
  arrivals.clear();
  one.world.run_for(seconds(10));
  EXPECT_TRUE(arrivals.empty());
}

TEST_F(Frames, ABlockMessageThatIsNone) {
  frame(FrameType::kBlock, random_bytes(random(), 25));
  Status opened = open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().fault, Fault::kProtocol);
}

TEST_F(Frames, LengthsOutOfBoundsNeedNoMoreBytesToBeRefused) {
  int refused = 0;
  for (std::uint32_t length : {0u, 15u, 17u + 4096u, 17u + 256u * 1024u, 0x7fffffffu, 0xffffffffu}) {
    for (unsigned type : {1, 4, 5, 6, 11, 12, 13}) {
      auto header = wire::any_frame_header(length, static_cast<std::uint8_t>(type));
      flow.assign(header.begin(), header.end());
      if (wire::decode_frame_header(flow).ok()) continue;
      new_keys();
      EXPECT_EQ(receive(100), Fault::kLinkLost) << length << " of type " << type;
      ++refused;
    }
  }
  EXPECT_GE(refused, 36);
}

TEST_F(Frames, AnEndWithinAFrameIsAnEnd) {
  frame(FrameType::kDone, {});
  frame(FrameType::kDone, {});
  flow.pop_back();
  EXPECT_EQ(receive(7), Fault::kNone);
  EXPECT_EQ(arrivals.size(), 1u);
}

TEST_F(Frames, OneFlippedBitEndsTheLaneWhereItIs) {
  int checked = 0;
  small_flow();
  for (std::size_t i = 0; i < flow.size(); i += 3) {
    flow.clear();
    new_keys();
    small_flow();
    flow[i] ^= static_cast<std::byte>(1u << random().below(8));
    arrivals.clear();
    Fault end = receive(97);
    // A length that grew may wait for bytes that never come: then it is the end that is seen.
    EXPECT_TRUE(end == Fault::kLinkLost || end == Fault::kNone) << i;
    EXPECT_LT(arrivals.size(), 2u) << i;
    ++checked;
  }
  EXPECT_GE(checked, 200);
}

}  // namespace
}  // namespace zferry::pipeline
