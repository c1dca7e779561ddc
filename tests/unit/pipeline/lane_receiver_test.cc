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

  // All at once, as whole frames.
  Status open() {
    FrameOpener opener(std::move(opener_), pool);
    return opener.open(flow, arrivals);
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

TEST_F(Frames, MoreBlocksThanBuffers) {
  for (int i = 0; i < 4; ++i) {
    block(10);
    data(10);
  }
  Status opened = open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().fault, Fault::kProtocol);
  EXPECT_EQ(arrivals.size(), 3u);
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
    for (unsigned type : {1, 4, 5, 6, 11}) {
      flow.assign(wire::kFrameHeaderBytes, std::byte{0});
      store(Bytes(flow), 0, length);
      store(Bytes(flow), 4, static_cast<std::uint8_t>(type));
      if (wire::decode_frame_header(flow).ok()) continue;
      new_keys();
      EXPECT_EQ(receive(100), Fault::kLinkLost) << length << " of type " << type;
      ++refused;
    }
  }
  EXPECT_GE(refused, 25);
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
