// A lane against its mirror: everything arrives, in order and whole, however the reads are split; what breaks the rules
// of frames ends it with kProtocol; silence ends it; close() flushes.
#include "pipeline/lane.h"

#include <gtest/gtest.h>

#include "unit/pipeline/fake_stream.h"
#include "unit/pipeline/machine.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using wire::FrameType;

// What came out of a lane.
struct Heard {
  std::vector<std::pair<FrameType, std::vector<std::byte>>> frames;  // a block's packed bytes, under kBlock
  std::vector<wire::Block> blocks;
  std::optional<Error> lost;
  int closed = 0;
  int room = 0;

  LaneEvents events() {
    LaneEvents to;
    to.message = [this](FrameType type, ConstBytes bytes) { frames.push_back({type, {bytes.begin(), bytes.end()}}); };
    to.block = [this](const wire::Block& block, const flow::Slice& packed) {
      frames.push_back({FrameType::kBlock, {packed.bytes.begin(), packed.bytes.end()}});
      blocks.push_back(block);
    };
    to.room = [this] { ++room; };
    to.lost = [this](Error why) {
      EXPECT_FALSE(lost);
      lost = std::move(why);
    };
    to.closed = [this] { ++closed; };
    return to;
  }
};

// Two lanes over one simulated connection.
class Lanes : public ::testing::TestWithParam<int> {
 protected:
  void connect() {
    auto listener = std::move(right.host.network.listen({"", "9443"})).value();
    EstablishedLane one, other;
    listener->accept([&](auto stream) { other.stream = std::move(*stream); });
    left.host.network.connect({"right", "9443"}, seconds(5), [&](auto stream) { one.stream = std::move(*stream); });
    ASSERT_TRUE(world.run_until([&] { return one.stream && other.stream; }, seconds(5)));
    give_keys(left.random, one, other);
    from = std::make_unique<Lane>(left.host, settings, 1, std::move(one), pool, at_left.events());
    to = std::make_unique<Lane>(right.host, settings, 2, std::move(other), pool, at_right.events());
  }
  void start() {
    connect();
    from->start();
    to->start();
  }
  void send_block(std::uint64_t number, const std::vector<std::byte>& bytes) {
    flow::Buffer buffer = pool.take();
    ASSERT_TRUE(buffer);
    std::copy(bytes.begin(), bytes.end(), buffer->begin());
    auto length = static_cast<std::uint32_t>(bytes.size());
    from->send_block({number, 0, length, length, wire::Encoding::kStored}, {buffer, ConstBytes(*buffer).first(length)});
    sent.push_back({FrameType::kBlock, bytes});
  }
  double seconds_since(TimePoint begin) const { return zferry::seconds(world.now() - begin); }
  void send_message(std::size_t bytes) {
    std::vector<std::byte> message = random_bytes(left.random, bytes);
    from->send(FrameType::kAck, message);
    sent.push_back({FrameType::kAck, message});
  }

  io::SimWorld world{static_cast<std::uint64_t>(30 + GetParam())};
  Machine left{world.add_host("left"), 4};
  Machine right{world.add_host("right"), 5};
  LaneSettings settings = lane_settings();
  flow::BufferPool pool{40, limits::kBlockBytesMax};
  Heard at_left, at_right;
  std::vector<std::pair<FrameType, std::vector<std::byte>>> sent;
  std::unique_ptr<Lane> from, to;
};

TEST_P(Lanes, EverythingArrivesInOrder) {
  world.network().link().segment_bytes_max = GetParam() % 2 == 0 ? 700 : 100'000;
  settings.frame_bytes = GetParam() == 0 ? 1000 : limits::kFrameBytesMax;
  start();
  const int blocks = 25;
  for (int number = 0; number < blocks; ++number) {
    ASSERT_TRUE(world.run_until([&] { return from->has_room(); }, seconds(60)));
    std::size_t bytes = number == 7 ? limits::kBlockBytesMax : 1 + left.random.below(60'000);
    send_block(static_cast<std::uint64_t>(number), random_bytes(left.random, bytes));
    for (std::uint64_t i = left.random.below(30); i > 0; --i) send_message(left.random.below(200));
    if (number == 9) send_message(limits::kControlBytesMax);
  }
  from->close();
  EXPECT_FALSE(from->has_room());
  ASSERT_TRUE(world.run_until([&] { return at_right.lost.has_value(); }, seconds(60)));
  EXPECT_EQ(at_right.frames, sent);
  EXPECT_GT(sent.size(), 100u);
  EXPECT_EQ(at_right.blocks.size(), 25u);
  EXPECT_EQ(at_right.lost->fault, Fault::kLinkLost) << "the peer hung up first";
  EXPECT_EQ(to->received_bytes(), from->sent_bytes());
  EXPECT_GT(at_left.room, 0);
  to.reset();
  ASSERT_TRUE(world.run_until([&] { return at_left.closed > 0; }, seconds(60)));
  EXPECT_FALSE(at_left.lost);
  EXPECT_EQ(at_right.frames.size(), sent.size());
}

TEST_P(Lanes, CloseBeforeAnythingWasSentIsAnEndToo) {
  start();
  from->close();
  to->close();
  ASSERT_TRUE(world.run_until([&] { return at_left.closed == 1 && at_right.closed == 1; }, seconds(60)));
  from->send(FrameType::kDone, {});
  world.run_for(seconds(30));
  EXPECT_TRUE(at_right.frames.empty());
  EXPECT_EQ(at_left.closed + at_right.closed, 2);
}

TEST_P(Lanes, HeartbeatsKeepAQuietLaneAliveAndSilenceEndsIt) {
  start();
  world.run_for(hours(1));
  EXPECT_FALSE(at_left.lost || at_right.lost);
  std::uint64_t beats = to->received_bytes() / wire::kFrameOverheadBytes;
  EXPECT_GE(beats, 7100u);
  EXPECT_LE(beats, 7200u);
  TimePoint before = world.now();
  world.network().connection(0).silence();
  ASSERT_TRUE(world.run_until([&] { return at_left.lost && at_right.lost; }, seconds(60)));
  EXPECT_EQ(at_left.lost->fault, Fault::kLinkLost);
  EXPECT_GE(world.now() - before, limits::kSilenceMax - limits::kHeartbeatEvery);
  EXPECT_LE(world.now() - before, limits::kSilenceMax + 2 * limits::kHeartbeatEvery);
}

TEST_P(Lanes, ACutAndAFlippedByteEndIt) {
  start();
  send_block(0, random_bytes(left.random, 50'000));
  world.network().connection(0).inject(
      {.action = io::SimFault::Action::kFlip, .after_bytes = 20'000 + left.random.below(20'000)});
  ASSERT_TRUE(world.run_until([&] { return at_right.lost.has_value(); }, seconds(60)));
  EXPECT_EQ(at_right.lost->fault, Fault::kLinkLost);
  EXPECT_TRUE(at_right.frames.empty()) << "no part of a block that does not open";
  world.network().connection(0).reset();
  ASSERT_TRUE(world.run_until([&] { return at_left.lost.has_value(); }, seconds(60)));
  EXPECT_EQ(at_left.lost->fault, Fault::kLinkLost);
}

// The listener may end the lane from inside any of its events.
TEST_P(Lanes, MayBeDestroyedFromInsideItsEvents) {
  connect();
  int heard = 0;
  auto stream = std::make_shared<FakeWire>();
  EstablishedLane one, other;
  give_keys(left.random, one, other);
  one.stream = std::make_unique<FakeStream>(left.host.loop, stream, 1);
  LaneEvents events;
  std::unique_ptr<Lane> lane;
  events.message = [&](FrameType, ConstBytes) {
    ++heard;
    lane.reset();
  };
  lane = std::make_unique<Lane>(left.host, settings, 1, std::move(one), pool, std::move(events));
  lane->start();
  for (int i = 0; i < 3; ++i) {
    auto header = wire::encode_frame_header(FrameType::kDone, 0);
    stream->to_read.insert(stream->to_read.end(), header.begin(), header.end());
    stream->to_read.resize(stream->to_read.size() + seal::kTagBytes);
    other.sealer->seal(header, {}, Bytes(stream->to_read).last(seal::kTagBytes));
  }
  stream->read_bytes_max = 1 << 20;
  stream->wake();
  world.run_for(seconds(20));
  EXPECT_EQ(heard, 1);
  EXPECT_TRUE(stream->destroyed);
}

// Bytes on the link by time, as --limit promises: in no span of time more than the rate gives, but for a piece and
// what delays push together; and not much less while there is something to send.
TEST_P(Lanes, TheRateIsKept) {
  const std::uint64_t rates[] = {1000, 40'000, 5'000'000};
  settings.rate_bytes_per_s = rates[GetParam()];
  const auto rate = static_cast<double>(settings.rate_bytes_per_s);
  const double piece = std::max(rate * 0.010, 1400.0);
  start();
  auto& connection = world.network().connection(0);
  for (bool pauses : {false, true}) {
    TimePoint begin = world.now();
    auto sent_bytes = [&] { return static_cast<double>(connection.bytes_sent(io::SimDirection::kToListener)); };
    const double before = sent_bytes();
    double least_ahead = 0;
    std::uint64_t number = 0;
    int checks = 0;
    for (; seconds_since(begin) < 20; ++checks) {
      if (from->has_room()) send_block(number++, random_bytes(left.random, 1 + left.random.below(100'000)));
      world.run_for(pauses && left.random.chance(0.02) ? Duration(milliseconds(400)) : Duration(microseconds(1500)));
      double ahead = sent_bytes() - before - rate * seconds_since(begin);
      least_ahead = std::min(least_ahead, ahead);
      ASSERT_LE(ahead - least_ahead, rate * (0.010 + 0.005) + piece + 1) << seconds_since(begin);
    }
    EXPECT_GT(checks, 500);
    if (!pauses) {
      EXPECT_GE(sent_bytes() - before, 0.9 * rate * 20 - piece);
    }
  }
  EXPECT_FALSE(at_left.lost || at_right.lost);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Lanes, ::testing::Range(0, 3));

}  // namespace
}  // namespace zferry::pipeline
