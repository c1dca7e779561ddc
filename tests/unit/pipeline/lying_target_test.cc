// A source against a target that lies: answers that are none, acknowledgements of what was never sent, places to go on
// from that are garbage, too much, twice. It ends with the fault that it is, and never with a success that no target
// vouched for.
#include <gtest/gtest.h>

#include <algorithm>

#include "pipeline/source.h"
#include "seal/leaf.h"
#include "unit/pipeline/hand_lane.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using session::SourceState;
using wire::FrameType;

constexpr std::size_t kBlockBytes = 4096;

class LyingTarget : public ::testing::Test {
 protected:
  LyingTarget() {
    Pairing pair = pair_by_keys(liar.random);
    meeting.listen = true;
    meeting.endpoint = {"", "9443"};
    meeting.credentials = std::move(pair.listener);
    settings.meeting.endpoint = {"target", "9443"};
    settings.meeting.credentials = std::move(pair.dialler);
    settings.lane = lane_settings();
    settings.lane.block_bytes = kBlockBytes;
    settings.pool_buffers = 24;
    settings.session_name = "tank/vm";
    settings.give_up_after = seconds(30);
    settings.pack.mode = pack::Mode::kOff;
    settings.notices.event = [this](std::string_view state, std::string_view event) {
      rows.push_back(std::string(state) + " | " + std::string(event));
    };
    lane = settings.lane;
    stream = random_bytes(liar.random, 30 * kBlockBytes + 1000);
    key = seal::SecretBytes::random(liar.random);
  }
  void start() {
    listen();
    input.source = io::sim_source(stream);
    machine.sim.set_standard_input(input);
    source = std::make_unique<Source>(machine.host, settings, [this](const Report& of) {
      EXPECT_FALSE(report) << "twice";
      report = of;
    });
    source->start();
  }
  void listen() {
    Reception::Events events;
    events.busy = [](bool) { return false; };
    events.lane_up = [this](EstablishedLane up) {
      lanes.push_back(std::make_unique<HandLane>(liar.host, lane, std::move(up)));
      if (welcome && !lanes.back()->join.fresh()) lanes.back()->say(FrameType::kAck, wire::encode(wire::Ack{}));
    };
    reception =
        std::make_unique<Reception>(liar.host, meeting, lane, wire::Role::kTarget, settings.notices, std::move(events));
    ASSERT_TRUE(reception->start().ok());
  }
  HandLane& first() { return *lanes[0]; }
  // Until OPEN came.
  void meet() {
    start();
    ASSERT_TRUE(world.run_until([&] { return !lanes.empty() && first().count(FrameType::kOpen) == 1; }, seconds(10)));
  }
  wire::Opened right_opened() const {
    wire::Opened opened;
    std::copy(key->bytes().begin(), key->bytes().end(), opened.leaf_key.begin());
    opened.credit = 8;
    opened.hold_s = 60;
    return opened;
  }
  void stream_on() {
    meet();
    first().say(FrameType::kOpened, wire::encode(right_opened()));
    ASSERT_TRUE(world.run_until([&] { return first().blocks.size() == 8; }, seconds(10)));
  }
  void ack(std::uint64_t received, std::uint64_t credit, std::vector<std::uint64_t> beyond = {}) {
    first().say(FrameType::kAck, wire::encode(wire::Ack{received, 0, credit, std::move(beyond)}));
  }
  void final_sent() {
    stream_on();
    while (first().count(FrameType::kFinal) == 0) {
      std::size_t got = first().blocks.size();
      ack(got, got + 8);
      ASSERT_TRUE(world.run_until([&] { return first().blocks.size() > got || first().count(FrameType::kFinal) > 0; },
                                  seconds(10)));
    }
    ASSERT_EQ(source->state(), SourceState::kFinalSent);
    EXPECT_GE(first().blocks.size(), 31u);
  }
  bool over(Duration within = seconds(120)) {
    return world.run_until([&] { return report.has_value(); }, within);
  }
  void expect_fault(Fault fault) {
    ASSERT_TRUE(over()) << "at last: " << (rows.empty() ? "nothing" : rows.back());
    EXPECT_FALSE(report->ending.ok());
    EXPECT_EQ(report->ending.error.fault, fault) << report->ending.error.what;
  }
  void again() {
    world.run_for(seconds(1));
    source.reset();
    reception.reset();
    lanes.clear();
    report.reset();
    rows.clear();
    machine.sim.disk().records.clear();
    world.run_for(seconds(1));
  }
  bool marker() const { return !machine.sim.disk().records.empty(); }

  struct Lie {
    std::string name;
    std::function<void(HandLane&)> tell;
  };
  static std::vector<Lie> lies() {
    auto says = [](FrameType type, wire::Message message = {}) {
      return [type, message](HandLane& on) { on.say(type, message); };
    };
    return {{"OPEN", says(FrameType::kOpen, wire::Message(30))},
            {"FINAL", says(FrameType::kFinal, wire::encode(wire::Final{}))},
            {"DONE", says(FrameType::kDone)},
            {"LEAVE", says(FrameType::kLeave)},
            {"JOIN", says(FrameType::kJoin, wire::encode(wire::Join{}))},
            {"a beat with something in it", says(FrameType::kHeartbeat, wire::Message(3))},
            {"no OPENED", says(FrameType::kOpened, wire::Message(30))},
            {"no ACK", says(FrameType::kAck, wire::Message(30))},
            {"no FINAL-ACK", says(FrameType::kFinalAck, wire::Message(30))},
            {"no ABORT", says(FrameType::kAbort, wire::Message(1))},
            {"DATA of no block", says(FrameType::kData, wire::Message(30))},
            {"a block", [](HandLane& on) {
               on.send_block({0, 0, 10, 10, wire::Encoding::kStored}, std::vector<std::byte>(10));
             }}};
  }

  io::SimWorld world{90};
  Machine machine{world.add_host("source"), 1};
  Machine liar{world.add_host("target"), 2};
  MeetingSettings meeting;
  SourceSettings settings;
  LaneSettings lane;
  io::SimProducer input;
  std::optional<seal::SecretBytes> key;
  std::vector<std::byte> stream;
  std::vector<std::string> rows;
  bool welcome = true;
  std::unique_ptr<Reception> reception;
  std::vector<std::unique_ptr<HandLane>> lanes;
  std::optional<Report> report;
  std::unique_ptr<Source> source;
};

TEST_F(LyingTarget, TheTruthSucceeds) {
  final_sent();
  EXPECT_TRUE(marker());
  wire::Final final = wire::decode_final(*first().last(FrameType::kFinal)).value();
  EXPECT_EQ(final.stream_bytes, stream.size());
  EXPECT_EQ(final.blocks, first().blocks.size());
  seal::LeafChain chain(key->copy(), kBlockBytes);
  chain.add_bytes(stream);
  EXPECT_EQ(final.digest, chain.digest());
  first().say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kApplied, stream.size()}));
  ASSERT_TRUE(over());
  EXPECT_TRUE(report->ending.ok()) << report->ending.error.what;
  EXPECT_EQ(first().count(FrameType::kDone), 1u);
  EXPECT_FALSE(marker());
}

TEST_F(LyingTarget, WhatItMustNotSayEndsItBeforeFinal) {
  int checked = 0;
  for (const Lie& lie : lies()) {
    for (bool opened : {false, true}) {
      SCOPED_TRACE(lie.name + (opened ? " while blocks flow" : " for an answer"));
      opened ? stream_on() : meet();
      lie.tell(first());
      expect_fault(Fault::kProtocol);
      EXPECT_EQ(first().aborted(), Fault::kProtocol);
      EXPECT_FALSE(marker());
      again();
      ++checked;
    }
  }
  EXPECT_EQ(checked, 24);
}

// The target may have completed by then: whatever else it says, the source knows nothing.
TEST_F(LyingTarget, WhatItMustNotSayAfterFinalLeavesTheOutcomeOpen) {
  std::vector<Lie> all = lies();
  all.push_back({"OPENED", [this](HandLane& on) { on.say(FrameType::kOpened, wire::encode(right_opened())); }});
  all.push_back({"an ACK of more than was sent", [](HandLane& on) {
                   on.say(FrameType::kAck, wire::encode(wire::Ack{1000, 0, 1000, {}}));
                 }});
  all.push_back({"a FINAL-ACK of another length", [](HandLane& on) {
                   on.say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kApplied, 17}));
                 }});
  all.push_back(
      {"a FINAL-ACK of another kind", [this](HandLane& on) {
         on.say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kAlreadyReceived, stream.size()}));
       }});
  int checked = 0;
  for (const Lie& lie : all) {
    SCOPED_TRACE(lie.name);
    final_sent();
    lie.tell(first());
    expect_fault(Fault::kOutcomeUnknown);
    EXPECT_TRUE(marker()) << "a later run asks";
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 16);
}

TEST_F(LyingTarget, NothingBehindFinalAckChangesIt) {
  int checked = 0;
  for (const Lie& lie : lies()) {
    SCOPED_TRACE(lie.name);
    final_sent();
    first().say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kApplied, stream.size()}));
    lie.tell(first());
    ASSERT_TRUE(over());
    EXPECT_TRUE(report->ending.ok()) << report->ending.error.what;
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 12);
}

// While it waits for OPENED it may be meant for the run before, and tells this one nothing; from then on it is a
// breach.
TEST_F(LyingTarget, AFinalAckBeforeFinalIsNoSuccess) {
  meet();
  first().say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kApplied, stream.size()}));
  world.run_for(seconds(60));
  EXPECT_FALSE(report);
  EXPECT_EQ(source->state(), SourceState::kOpening);
  first().say(FrameType::kOpened, wire::encode(right_opened()));
  ASSERT_TRUE(world.run_until([&] { return source->state() == SourceState::kStreaming; }, seconds(5)));
  first().say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kApplied, stream.size()}));
  expect_fault(Fault::kProtocol);
}

TEST_F(LyingTarget, AnAckOfWhatWasNotSent) {
  int checked = 0;
  for (std::uint64_t received : {std::uint64_t{9}, std::uint64_t{31}, limits::kBlocksMax}) {
    stream_on();
    ack(received, 100);
    expect_fault(Fault::kProtocol);
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 3);
}

// What ends beyond the credit of bytes waits, though its number is covered; and goes when that grows.
TEST_F(LyingTarget, CreditOfBytesIsKeptTo) {
  meet();
  wire::Opened opened = right_opened();
  opened.credit_bytes = 3 * kBlockBytes + 1;
  first().say(FrameType::kOpened, wire::encode(opened));
  world.run_for(seconds(5));
  EXPECT_EQ(first().blocks.size(), 3u);
  wire::Ack more{3, 3, 8, {}};
  more.credit_bytes = 6 * kBlockBytes;
  first().say(FrameType::kAck, wire::encode(more));
  world.run_for(seconds(5));
  EXPECT_EQ(first().blocks.size(), 6u);
  EXPECT_FALSE(report);
}

// The bits of an ACK beyond what was sent, a credit without bounds, one that goes back: what was said to be there is
// let go, the rest waits in no more memory than the pool has.
TEST_F(LyingTarget, AnAckThatClaimsTooMuchIsTheTargetsLoss) {
  stream_on();
  ack(0, limits::kBlocksMax, std::vector<std::uint64_t>(limits::kAckWordsMax, ~std::uint64_t{0}));
  world.run_for(seconds(5));
  EXPECT_EQ(first().blocks.size(), 31u) << "all that there is";
  EXPECT_FALSE(report);
  ack(4, 0);
  ack(0, 0);
  world.run_for(seconds(5));
  EXPECT_FALSE(report);
  EXPECT_EQ(first().blocks.size(), 31u);
  EXPECT_EQ(first().count(FrameType::kFinal), 1u);
}

// It says that all is there, then loses the lane and wants what it never had: nothing crashes, and it is its own loss.
TEST_F(LyingTarget, WhatWasAcknowledgedByALieIsGone) {
  stream_on();
  ack(0, 8, {0b11111110});
  world.run_for(milliseconds(100));
  world.network().connection(0).reset();
  ASSERT_TRUE(world.run_until([&] { return lanes.size() == 2; }, seconds(10)));
  EXPECT_FALSE(lanes[1]->join.fresh());
  ASSERT_TRUE(world.run_until([&] { return lanes[1]->blocks.size() == 1; }, seconds(10)));
  EXPECT_EQ(lanes[1]->blocks[0].first.number, 0u);
  lanes[1]->say(FrameType::kAck, wire::encode(wire::Ack{31, 31, 31, {}}));
  expect_fault(Fault::kProtocol);
}

TEST_F(LyingTarget, OpenedTwice) {
  for (bool same : {false, true}) {
    stream_on();
    wire::Opened second = right_opened();
    if (!same) second.leaf_key = {};
    first().say(FrameType::kOpened, wire::encode(second));
    expect_fault(Fault::kProtocol);
    again();
  }
}

// A place to go on from: what is no place is a breach, what is another stream's ends before anything new is sent, and
// leaves what the target has as it was.
TEST_F(LyingTarget, OpenedAtAPlaceThatIsGarbage) {
  struct Case {
    const char* name;
    std::uint64_t number;
    std::vector<std::uint64_t> marks;
    Fault fault;
  };
  const Case cases[] = {{"a wrong digest", 2, {8192}, Fault::kDifferentStream},
                        {"wrong digests", 20, {1, 2, 3, 4, 5, 8000}, Fault::kDifferentStream},
                        {"beyond its end", 40, {std::uint64_t{1} << 40}, Fault::kDifferentStream},
                        {"no block and bytes", 0, {8192}, Fault::kProtocol},
                        {"more blocks than bytes", 10, {9}, Fault::kProtocol},
                        {"blocks and no bytes", 3, {}, Fault::kProtocol}};
  int checked = 0;
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    meet();
    wire::Opened opened = right_opened();
    opened.how = wire::OpenedHow::kContinue;
    opened.next_number = each.number;
    for (std::uint64_t at : each.marks) {
      opened.marks.push_back({at, {}});
      opened.offset = at;
    }
    first().say(FrameType::kOpened, wire::encode(opened));
    expect_fault(each.fault);
    EXPECT_TRUE(first().blocks.empty());
    EXPECT_EQ(first().count(FrameType::kFinal), 0u);
    EXPECT_FALSE(marker());
    if (each.fault == Fault::kDifferentStream) {
      EXPECT_EQ(first().aborted(), Fault::kDifferentStream) << "an honest target keeps what it has";
    }
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

TEST_F(LyingTarget, OpenedInTheMiddleOfABlockIsAPlaceToo) {
  meet();
  wire::Opened opened = right_opened();
  opened.how = wire::OpenedHow::kContinue;
  opened.next_number = 7;
  opened.offset = 5000;
  opened.credit = 60;
  seal::LeafChain chain(key->copy(), kBlockBytes);
  chain.add_bytes(ConstBytes(stream).first(5000));
  opened.marks.push_back({5000, chain.digest()});
  first().say(FrameType::kOpened, wire::encode(opened));
  ASSERT_TRUE(world.run_until([&] { return !first().blocks.empty(); }, seconds(10)));
  EXPECT_EQ(first().blocks[0].first.number, 7u);
  EXPECT_EQ(first().blocks[0].first.offset, 5000u);
}

TEST_F(LyingTarget, AlreadyReceivedThatIsNotAnswered) {
  meet();
  wire::Opened opened = right_opened();
  opened.how = wire::OpenedHow::kAlreadyReceived;
  first().say(FrameType::kOpened, wire::encode(opened));
  ASSERT_TRUE(world.run_until([&] { return first().count(FrameType::kFinal) == 1; }, seconds(10)));
  EXPECT_TRUE(first().blocks.empty());
  // Another completion than was said.
  first().say(FrameType::kFinalAck, wire::encode(wire::FinalAck{wire::Completion::kApplied, stream.size()}));
  expect_fault(Fault::kOutcomeUnknown);
}

// It lets lanes in, and says nothing at all for ever but that it lives.
TEST_F(LyingTarget, SilenceAboutTheStreamIsWaitedFor) {
  stream_on();
  world.run_for(hours(3));
  EXPECT_FALSE(report) << "a target in a long sync is alive";
  EXPECT_EQ(first().blocks.size(), 8u);
  lanes.clear();
  reception.reset();
  ASSERT_TRUE(over(seconds(60)));
  EXPECT_EQ(report->ending.error.fault, Fault::kLinkLost);
}

TEST_F(LyingTarget, ManyLanesAndAllOfThemLost) {
  settings.lanes = 16;
  meet();
  EXPECT_EQ(wire::decode_open(*first().last(FrameType::kOpen)).value().lanes, 16);
  wire::Opened opened = right_opened();
  opened.lanes = 16;
  first().say(FrameType::kOpened, wire::encode(opened));
  ASSERT_TRUE(world.run_until([&] { return lanes.size() == 16; }, seconds(10)));
  for (int i = 0; i < 5; ++i) {
    for (auto& each : lanes)
      if (!each->over()) each->close();
    world.run_for(seconds(3));
    EXPECT_FALSE(report);
  }
  std::size_t open = 0;
  for (auto& each : lanes) open += !each->over();
  EXPECT_EQ(open, 16u);
}

// What cannot be named cannot be gone on with: an interrupted source says that it ends, also while it waits for OPENED.
TEST_F(LyingTarget, AnInterruptedSourceLeavesOrAborts) {
  int checked = 0;
  for (bool named : {false, true}) {
    for (bool opened : {false, true}) {
      settings.session_name = named ? "tank/vm" : "";
      opened ? stream_on() : meet();
      source->interrupt(2);
      expect_fault(Fault::kInterrupted);
      EXPECT_EQ(first().count(FrameType::kLeave), named ? 1u : 0u) << opened;
      EXPECT_EQ(first().aborted(), named ? Fault::kNone : Fault::kInterrupted) << opened;
      again();
      ++checked;
    }
  }
  EXPECT_EQ(checked, 4);
}

}  // namespace
}  // namespace zferry::pipeline
