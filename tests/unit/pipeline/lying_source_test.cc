// A target against a source that may come in and lies: it speaks the protocol by hand, out of turn, twice, too late.
// The target ends as its own truth says, its consumer never gets what it must not, and nobody else's session ends.
#include <gtest/gtest.h>

#include <algorithm>

#include "pipeline/target.h"
#include "seal/leaf.h"
#include "unit/pipeline/hand_lane.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using session::TargetState;
using wire::FrameType;

constexpr std::size_t kBlockBytes = 4096;

class LyingSource : public ::testing::Test {
 protected:
  LyingSource() {
    Pairing pair = pair_by_keys(liar.random);
    meeting.endpoint = {"target", "9443"};
    meeting.credentials = std::move(pair.dialler);
    settings.meeting.listen = true;
    settings.meeting.endpoint = {"", "9443"};
    settings.meeting.credentials = std::move(pair.listener);
    foreign.endpoint = meeting.endpoint;
    foreign.credentials.own = seal::SecretBytes::random(stranger.random);
    foreign.credentials.peer = *meeting.credentials.peer;
    settings.meeting.credentials.allowed.push_back(seal::public_key(*foreign.credentials.own));
    settings.lane = lane_settings();
    settings.lane.block_bytes = kBlockBytes;
    settings.window_blocks = 10;
    settings.consumer = {"zfs-receive"};
    settings.linger = seconds(20);
    settings.hold = seconds(30);
    settings.notices.event = [this](std::string_view state, std::string_view event) {
      rows.push_back(std::string(state) + " | " + std::string(event));
    };
    consumer.exit_delay = milliseconds(500);
    lane = settings.lane;
    lane.block_bytes = 2 * kBlockBytes;
    stream = random_bytes(liar.random, 5 * kBlockBytes + 1000);
    open.incarnation = 5;
    open.identity[0] = std::byte{1};
    open.block_bytes_max = kBlockBytes;
    open.nameable = true;
    open.give_up_s = 10;
    open.name = "tank/vm";
  }
  void start() {
    machine.sim.add_program("zfs-receive", consumer);
    target = std::make_unique<Target>(machine.host, settings, [this](const Report& of) {
      EXPECT_FALSE(report) << "twice";
      report = of;
    });
    target->start();
  }
  std::unique_ptr<HandLane> come(const MeetingSettings& as, const MakeJoin& join = {}) {
    return dial_by_hand(world, &as == &foreign ? stranger : liar, as, lane, wire::Role::kSource, join);
  }
  std::unique_ptr<HandLane> join() {
    return come(meeting, [this](const Transcript& of) {
      return Ticket(seal::SecretBytes(opened.leaf_key), open.incarnation).join(of);
    });
  }
  // A lane with OPEN and OPENED on it.
  std::unique_ptr<HandLane> opened_lane() {
    start();
    auto up = come(meeting);
    open_on(*up);
    return up;
  }
  void open_on(HandLane& up) {
    std::size_t before = up.count(FrameType::kOpened);
    up.say(FrameType::kOpen, wire::encode(open));
    ASSERT_TRUE(world.run_until([&] { return up.count(FrameType::kOpened) == before + 1; }, seconds(10)));
    opened = wire::decode_opened(*up.last(FrameType::kOpened)).value();
  }
  void send_block(HandLane& on, std::uint64_t number) {
    ConstBytes raw = ConstBytes(stream).subspan(number * kBlockBytes);
    raw = raw.first(std::min(raw.size(), kBlockBytes));
    auto bytes = static_cast<std::uint32_t>(raw.size());
    push(on, {number, number * kBlockBytes, bytes, bytes, wire::Encoding::kStored}, raw);
  }
  void push(HandLane& on, const wire::Block& header, ConstBytes packed) {
    ASSERT_TRUE(world.run_until([&] { return on.has_room(); }, seconds(10)));
    on.send_block(header, packed);
  }
  void send_all(HandLane& on) {
    for (std::uint64_t number = 0; number < 6; ++number) send_block(on, number);
  }
  wire::Final right_final() const {
    seal::LeafChain chain(seal::SecretBytes(opened.leaf_key), kBlockBytes);
    chain.add_bytes(stream);
    return {stream.size(), (stream.size() + kBlockBytes - 1) / kBlockBytes, chain.digest(),
            wire::ProducerExit::kUnknown};
  }
  void say_final(HandLane& on) { on.say(FrameType::kFinal, wire::encode(right_final())); }
  bool in(TargetState state, Duration within = seconds(10)) {
    return world.run_until([&] { return target->state() == state; }, within);
  }
  bool over(Duration within = seconds(120)) {
    return world.run_until([&] { return report.has_value(); }, within);
  }
  // It ended with this fault, nothing of the tail got out, and the consumer is gone.
  void expect_failed(Fault fault) {
    ASSERT_TRUE(over());
    EXPECT_EQ(report->ending.error.fault, fault) << report->ending.error.what;
    EXPECT_FALSE(report->ending.ok());
    if (machine.sim.child_count() == 0) return;
    const auto& child = machine.sim.last_child();
    EXPECT_TRUE(child.exited);
    EXPECT_LE(child.content.size() + limits::kTailBytes, stream.size());
    EXPECT_TRUE(std::equal(child.content.begin(), child.content.end(), stream.begin()));
  }
  void expect_success() {
    ASSERT_TRUE(over());
    EXPECT_TRUE(report->ending.ok()) << report->ending.error.what;
    EXPECT_EQ(machine.sim.last_child().content, stream);
    EXPECT_TRUE(machine.sim.last_child().succeeded());
  }
  // For the next case of a list: a new target, as if nothing had been.
  void again() {
    world.run_for(seconds(1));
    target.reset();
    report.reset();
    rows.clear();
    machine.sim.disk().records.clear();
    opened = {};
    world.run_for(seconds(1));
  }
  bool saw(const std::string& row) const { return std::find(rows.begin(), rows.end(), row) != rows.end(); }

  // What a source must not say, ever or at most times.
  struct Lie {
    std::string name;
    std::function<void(HandLane&)> tell;
  };
  std::vector<Lie> lies() {
    auto says = [](FrameType type, wire::Message message = {}) {
      return [type, message](HandLane& on) { on.say(type, message); };
    };
    wire::Final other;
    other.stream_bytes = 17;
    std::vector<Lie> all = {
        {"OPENED", says(FrameType::kOpened, wire::encode(wire::Opened{}))},
        {"ACK", says(FrameType::kAck, wire::encode(wire::Ack{}))},
        {"FINAL-ACK", says(FrameType::kFinalAck, wire::encode(wire::FinalAck{}))},
        {"JOIN", says(FrameType::kJoin, wire::encode(wire::Join{}))},
        {"a beat with something in it", says(FrameType::kHeartbeat, wire::Message(3))},
        {"no OPEN", says(FrameType::kOpen, wire::Message(30))},
        {"no FINAL", says(FrameType::kFinal, wire::Message(30))},
        {"no DONE", says(FrameType::kDone, wire::Message(1))},
        {"no ABORT", says(FrameType::kAbort, wire::Message(1))},
        {"no LEAVE", says(FrameType::kLeave, wire::Message(1))},
        {"no BLOCK", says(FrameType::kBlock, wire::Message(30))},
        {"another FINAL", says(FrameType::kFinal, wire::encode(other))},
        {"DATA of no block", says(FrameType::kData, wire::Message(30))},
    };
    return all;
  }

  io::SimWorld world{80};
  Machine machine{world.add_host("target"), 1};
  Machine liar{world.add_host("liar"), 2};
  Machine stranger{world.add_host("stranger"), 3};
  MeetingSettings meeting, foreign;
  TargetSettings settings;
  io::SimConsumer consumer;
  LaneSettings lane;
  wire::Open open;
  wire::Opened opened;
  std::vector<std::byte> stream;
  std::vector<std::string> rows;
  std::optional<Report> report;
  std::unique_ptr<Target> target;
};

TEST_F(LyingSource, TheTruthSucceeds) {
  auto up = opened_lane();
  EXPECT_EQ(opened.how, wire::OpenedHow::kFromStart);
  send_all(*up);
  say_final(*up);
  ASSERT_TRUE(world.run_until([&] { return up->count(FrameType::kFinalAck) == 1; }, seconds(10)));
  up->say(FrameType::kDone);
  expect_success();
  EXPECT_TRUE(report->source_informed);
}

// While blocks flow each of them is the end, with the one fault; both ends hear it.
TEST_F(LyingSource, WhatItMustNotSayEndsItBeforeFinal) {
  int checked = 0;
  for (const Lie& lie : lies()) {
    for (std::uint64_t blocks : {0, 3, 6}) {
      SCOPED_TRACE(lie.name + " after " + std::to_string(blocks));
      auto up = opened_lane();
      for (std::uint64_t number = 0; number < blocks; ++number) send_block(*up, number);
      lie.tell(*up);
      expect_failed(Fault::kProtocol);
      EXPECT_EQ(up->aborted(), Fault::kProtocol);
      EXPECT_TRUE(saw("receiving | peer-broke") || saw("receiving | final-wrong"));
      again();
      ++checked;
    }
  }
  EXPECT_EQ(checked, 39);
}

// Once FINAL was found right the consumer's word alone counts, whatever comes behind it.
TEST_F(LyingSource, NothingAfterFinalChangesTheVerdict) {
  std::vector<Lie> all = lies();
  all.push_back({"DONE too early", [](HandLane& on) { on.say(FrameType::kDone); }});
  all.push_back({"LEAVE", [](HandLane& on) { on.say(FrameType::kLeave); }});
  all.push_back({"ABORT", [](HandLane& on) {
                   on.say(FrameType::kAbort, wire::encode(wire::Abort{Fault::kProducerFailed, "a lie"}));
                 }});
  all.push_back({"FINAL again", [this](HandLane& on) { say_final(on); }});
  all.push_back({"a block again", [this](HandLane& on) { send_block(on, 2); }});
  all.push_back({"a block from beyond", [this](HandLane& on) {
                   push(on, {6, 6 * kBlockBytes, 1, 1, wire::Encoding::kStored}, std::vector<std::byte>(1));
                 }});
  all.push_back({"its end", [](HandLane& on) { on.close(); }});
  int checked = 0;
  for (const Lie& lie : all) {
    for (bool lingering : {false, true}) {
      SCOPED_TRACE(lie.name + (lingering ? " while it lingers" : " while it delivers"));
      auto up = opened_lane();
      send_all(*up);
      say_final(*up);
      ASSERT_TRUE(in(TargetState::kDelivering));
      if (lingering) {
        ASSERT_TRUE(in(TargetState::kLingering));
      }
      lie.tell(*up);
      world.run_for(seconds(2));
      expect_success();
      again();
      ++checked;
    }
  }
  EXPECT_EQ(checked, 40);
}

// Right behind FINAL, before it can be judged: whatever the target decides, it is one thing for its consumer and for
// its report.
TEST_F(LyingSource, WhatComesWithFinalIsDecidedOnce) {
  std::vector<Lie> all = lies();
  all.push_back({"ABORT", [](HandLane& on) {
                   on.say(FrameType::kAbort, wire::encode(wire::Abort{Fault::kProducerFailed, "a lie"}));
                 }});
  all.push_back({"another block", [this](HandLane& on) {
                   push(on, {6, 6 * kBlockBytes, 1, 1, wire::Encoding::kStored}, std::vector<std::byte>(1));
                 }});
  int succeeded = 0, failed = 0;
  for (const Lie& lie : all) {
    for (bool before : {false, true}) {
      SCOPED_TRACE(lie.name);
      auto up = opened_lane();
      send_all(*up);
      if (before) lie.tell(*up);
      say_final(*up);
      if (!before) lie.tell(*up);
      ASSERT_TRUE(over());
      const auto& child = machine.sim.last_child();
      EXPECT_EQ(report->ending.ok(), child.content == stream);
      EXPECT_EQ(report->ending.ok(), child.succeeded() && child.content.size() == stream.size());
      ++(report->ending.ok() ? succeeded : failed);
      again();
    }
  }
  EXPECT_EQ(succeeded + failed, 30);
  EXPECT_GE(failed, 15);
}

TEST_F(LyingSource, FinalMustBeTrue) {
  int checked = 0;
  for (int lie = 0; lie < 6; ++lie) {
    SCOPED_TRACE(lie);
    auto up = opened_lane();
    send_all(*up);
    wire::Final final = right_final();
    if (lie == 0) ++final.stream_bytes;
    if (lie == 1) --final.stream_bytes;
    if (lie == 2) --final.blocks;
    if (lie == 3) final.digest[31] ^= std::byte{1};
    if (lie == 4) final.blocks = 0;
    if (lie == 5) final.stream_bytes = 0;
    up->say(FrameType::kFinal, wire::encode(final));
    expect_failed(lie == 3 ? Fault::kDigestMismatch : Fault::kProtocol);
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

// FINAL of blocks that never come: it waits for them as long as the source beats, and no longer.
TEST_F(LyingSource, FinalOfBlocksThatNeverCome) {
  auto up = opened_lane();
  for (std::uint64_t number : {0, 1, 3, 4, 5}) send_block(*up, number);
  say_final(*up);
  world.run_for(hours(2));
  EXPECT_FALSE(report) << "heartbeats say that it lives";
  EXPECT_EQ(target->state(), TargetState::kReceiving);
  EXPECT_EQ(up->count(FrameType::kFinalAck), 0u);
  auto ack = wire::decode_ack(*up->last(FrameType::kAck)).value();
  EXPECT_EQ(ack.received, 2u);
  EXPECT_EQ(ack.beyond, std::vector<std::uint64_t>{0b1110});
  up.reset();
  ASSERT_TRUE(over(seconds(60)));
  expect_failed(Fault::kLinkLost);
}

TEST_F(LyingSource, BlocksMustFit) {
  std::vector<std::byte> bytes(2 * kBlockBytes);
  const std::pair<const char*, wire::Block> wrong[] = {
      {"beyond the credit", {1000, 1000 * kBlockBytes, 10, 10, wire::Encoding::kStored}},
      {"far beyond it", {limits::kBlocksMax - 1, 0, 10, 10, wire::Encoding::kStored}},
      {"at the wrong place", {0, 1, 10, 10, wire::Encoding::kStored}},
      {"longer than agreed", {0, 0, 2 * kBlockBytes, 10, wire::Encoding::kZstd}},
      {"longer than the buffers", {0, 0, 2 * kBlockBytes, 2 * kBlockBytes, wire::Encoding::kStored}},
      {"no zstd", {0, 0, 4000, 100, wire::Encoding::kZstd}}};
  int checked = 0;
  for (const auto& [name, header] : wrong) {
    SCOPED_TRACE(name);
    auto up = opened_lane();
    up->send_block(header, ConstBytes(bytes).first(header.packed_bytes));
    expect_failed(Fault::kProtocol);
    again();
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

// Right behind OPEN: it is too early for a lane of no session, or it comes when the session is there already.
TEST_F(LyingSource, ABlockRightBehindOpenIsTakenOrEndsItsLane) {
  int refused = 0, taken = 0;
  for (int i = 0; i < 20; ++i) {
    start();
    auto up = come(meeting);
    up->say(FrameType::kOpen, wire::encode(open));
    send_block(*up, 0);
    world.run_for(seconds(2));
    EXPECT_FALSE(report);
    bool too_early = up->aborted() == Fault::kProtocol;
    // Where it was opened as a visitor's and is judged as the session's, it ends the session that it was too early for.
    TargetState state = target->state();
    EXPECT_TRUE(too_early ? state == TargetState::kWaiting || state == TargetState::kAborting
                          : state == TargetState::kReceiving);
    ++(too_early ? refused : taken);
    again();
  }
  EXPECT_EQ(refused + taken, 20);
}

TEST_F(LyingSource, ABlockWithoutAnOpenIsOnlyItsOwnEnd) {
  start();
  auto visitor = come(foreign);
  send_block(*visitor, 0);
  ASSERT_TRUE(world.run_until([&] { return visitor->aborted() == Fault::kProtocol; }, seconds(5)));
  EXPECT_EQ(target->state(), TargetState::kWaiting);
  auto up = come(meeting);
  open_on(*up);
  send_all(*up);
  say_final(*up);
  expect_success();
}

// The same OPEN once more is answered once more, from where the stream stands; nothing of it comes twice.
TEST_F(LyingSource, OpenTwiceOnOneLane) {
  auto up = opened_lane();
  for (std::uint64_t number : {0, 1, 4}) send_block(*up, number);
  world.run_for(seconds(1));
  open_on(*up);
  EXPECT_EQ(opened.how, wire::OpenedHow::kContinue);
  EXPECT_EQ(opened.next_number, 2u);
  EXPECT_EQ(opened.offset, 2 * kBlockBytes);
  ASSERT_EQ(opened.marks.back().stream_bytes, 2 * kBlockBytes);
  for (int i = 0; i < 50; ++i) up->say(FrameType::kOpen, wire::encode(open));
  world.run_for(seconds(1));
  EXPECT_LE(up->count(FrameType::kOpened), 52u);
  EXPECT_FALSE(up->over());
  send_all(*up);
  say_final(*up);
  expect_success();
}

TEST_F(LyingSource, AnotherStreamOnTheSessionsOwnLane) {
  auto up = opened_lane();
  send_block(*up, 0);
  wire::Open other = open;
  other.identity[5] = std::byte{9};
  up->say(FrameType::kOpen, wire::encode(other));
  ASSERT_TRUE(world.run_until([&] { return up->aborted() == Fault::kBusy; }, seconds(5)));
  world.run_for(seconds(20));
  EXPECT_FALSE(report) << "the stream is held";
  expect_failed(Fault::kLinkLost);
}

TEST_F(LyingSource, ARunWithoutANumberEndsNothingOfOthers) {
  open.incarnation = 0;
  start();
  auto up = come(meeting);
  up->say(FrameType::kOpen, wire::encode(open));
  world.run_for(seconds(1));
  std::vector<std::byte> one(1);
  up->send_block({0, 0, 1, 1, wire::Encoding::kStored}, one);
  up->say(FrameType::kDone);
  up->say(FrameType::kLeave);
  world.run_for(seconds(1));
  up.reset();
  EXPECT_TRUE(over(seconds(60)));
  EXPECT_FALSE(report->ending.ok());
}

// Sixteen that open other streams, say what ends a session, and stay: the session goes on.
TEST_F(LyingSource, VisitorsTouchNoSession) {
  auto up = opened_lane();
  for (std::uint64_t number : {0, 1, 2}) send_block(*up, number);
  std::vector<std::unique_ptr<HandLane>> visitors;
  std::vector<Lie> all = lies();
  all.push_back({"ABORT", [](HandLane& on) {
                   on.say(FrameType::kAbort, wire::encode(wire::Abort{Fault::kProducerFailed, "a lie"}));
                 }});
  all.push_back({"LEAVE", [](HandLane& on) { on.say(FrameType::kLeave); }});
  all.push_back({"DONE", [](HandLane& on) { on.say(FrameType::kDone); }});
  int came = 0;
  for (const MeetingSettings* as : {&foreign, &meeting}) {
    for (const Lie& lie : all) {
      auto visitor = come(*as);
      if (!visitor) continue;  // four that say nothing are enough
      ++came;
      lie.tell(*visitor);
      world.run_for(milliseconds(200));
      visitors.push_back(std::move(visitor));
      ASSERT_EQ(target->state(), TargetState::kReceiving) << lie.name;
      ASSERT_FALSE(report) << lie.name << ": " << report->ending.error.what;
    }
  }
  visitors.clear();
  world.run_for(seconds(1));
  for (int i = 0; i < 16; ++i) {
    visitors.push_back(come(foreign));
    ASSERT_TRUE(visitors.back()) << i;
    wire::Open other = open;
    other.identity[7] = static_cast<std::byte>(i + 1);
    visitors.back()->say(FrameType::kOpen, wire::encode(other));
    ASSERT_TRUE(world.run_until([&] { return visitors.back()->aborted() == Fault::kBusy; }, seconds(5))) << i;
    std::string words = wire::decode_abort(*visitors.back()->last(FrameType::kAbort)).value().text;
    EXPECT_EQ(words.find("tank"), std::string::npos) << "names are not for strangers: " << words;
  }
  EXPECT_GE(came, 20);
  for (std::uint64_t number : {3, 4, 5}) send_block(*up, number);
  say_final(*up);
  expect_success();
}

// Of the same principal, with the right stream: a run that lives keeps what it has, and the other is told so.
TEST_F(LyingSource, ARivalDoesNotTakeWhatALivingRunHas) {
  auto up = opened_lane();
  send_block(*up, 0);
  wire::Open rival = open;
  rival.incarnation = 6;
  std::vector<std::unique_ptr<HandLane>> rivals;
  for (int i = 0; i < 3; ++i) {
    rivals.push_back(come(meeting));
    rivals.back()->say(FrameType::kOpen, wire::encode(rival));
    ++rival.incarnation;
  }
  ASSERT_TRUE(world.run_until(
      [&] {
        return std::all_of(rivals.begin(), rivals.end(), [](auto& each) { return each->aborted() == Fault::kBusy; });
      },
      seconds(10)));
  EXPECT_FALSE(up->over());
  for (std::uint64_t number = 1; number < 6; ++number) send_block(*up, number);
  say_final(*up);
  expect_success();
}

// What a fenced run still says is not heard: neither its blocks nor its ABORT.
TEST_F(LyingSource, AFencedRunIsNotHeard) {
  auto older = opened_lane();
  send_block(*older, 0);
  world.run_for(seconds(1));
  auto newer = come(meeting);
  // The older is cut off, unheard for two seconds, and comes back with much to say.
  world.network().connection(0).stall(seconds(4));
  ++open.incarnation;
  newer->say(FrameType::kOpen, wire::encode(open));
  world.run_for(milliseconds(100));
  older->say(FrameType::kAbort, wire::encode(wire::Abort{Fault::kProducerFailed, "a lie"}));
  older->say(FrameType::kLeave);
  older->say(FrameType::kFinal, wire::encode(wire::Final{}));
  ASSERT_TRUE(world.run_until([&] { return newer->count(FrameType::kOpened) == 1; }, seconds(10)));
  opened = wire::decode_opened(*newer->last(FrameType::kOpened)).value();
  EXPECT_EQ(opened.next_number, 1u);
  ASSERT_TRUE(world.run_until([&] { return older->over(); }, seconds(20)));
  world.run_for(seconds(3));
  EXPECT_FALSE(report);
  for (std::uint64_t number = 1; number < 6; ++number) send_block(*newer, number);
  say_final(*newer);
  expect_success();
}

// It says that it goes, and goes on: what came behind counts as what it is.
TEST_F(LyingSource, LeaveThenMoreBlocks) {
  auto up = opened_lane();
  for (std::uint64_t number : {0, 1, 2}) send_block(*up, number);
  up->say(FrameType::kLeave);
  for (std::uint64_t number : {3, 4, 5}) send_block(*up, number);
  world.run_for(seconds(1));
  EXPECT_FALSE(report);
  say_final(*up);
  expect_success();
}

TEST_F(LyingSource, LeaveThenNothingIsHeldAndThenAnInterruption) {
  auto up = opened_lane();
  send_block(*up, 0);
  up->say(FrameType::kLeave);
  up->close();
  world.run_for(seconds(20));
  EXPECT_FALSE(report);
  expect_failed(Fault::kInterrupted);
}

// The window is in bytes of stream as well: what ends beyond is refused, though its number is covered.
TEST_F(LyingSource, ABlockThatEndsBeyondTheCreditOfBytes) {
  settings.window_bytes = 4 * kBlockBytes;
  stream = random_bytes(liar.random, 10 * kBlockBytes);
  auto up = opened_lane();
  ASSERT_EQ(opened.credit, 10u);
  ASSERT_EQ(opened.credit_bytes, 4 * kBlockBytes);
  for (std::uint64_t number = 1; number < 4; ++number) send_block(*up, number);
  world.run_for(seconds(1));
  EXPECT_FALSE(report) << "the window's own, the first of them missing";
  send_block(*up, 4);
  expect_failed(Fault::kProtocol);
}

// Joined lanes carry for the session, whatever is said on each; and the pool's buffers are enough for the one that all
// wait for: sixteen lanes hold half a copy of a block each when it comes whole on the last.
TEST_F(LyingSource, LanesThatHoldHalfABlockDoNotStarveTheHead) {
  settings.lanes = 16;
  open.lanes = 16;
  stream = random_bytes(liar.random, 10 * kBlockBytes);
  auto up = opened_lane();
  ASSERT_EQ(opened.lanes, 16);
  ASSERT_EQ(opened.credit, 10u);
  std::vector<std::unique_ptr<HandLane>> lanes;
  for (int i = 0; i < 15; ++i) {
    lanes.push_back(join());
    ASSERT_TRUE(lanes.back());
  }
  world.run_for(seconds(1));
  for (auto& each : lanes) ASSERT_GE(each->count(FrameType::kAck), 1u);
  // All but block 0, up to the credit: as much as the window holds.
  wire::Block half{0, 0, kBlockBytes, kBlockBytes, wire::Encoding::kStored};
  for (auto& each : lanes) {
    each->say(FrameType::kBlock, wire::encode(half));
    each->say(FrameType::kData, wire::Message(100));
  }
  for (std::uint64_t number = 1; number < 10; ++number) send_block(*up, number);
  world.run_for(seconds(1));
  EXPECT_EQ(machine.sim.last_child().content.size(), 0u);
  send_block(*up, 0);
  say_final(*up);
  expect_success();
  EXPECT_FALSE(up->broke);
}

}  // namespace
}  // namespace zferry::pipeline
