// Who may join a session, and who may not: forged, stale and foreign lanes, visitors that stay or lie, newer runs of
// the source; and what a dialler makes of each refusal.
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/pipeline/hand_lane.h"
#include "unit/pipeline/link_ends.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using wire::FrameType;

// The target listens; a stranger may come whose key is allowed as well.
class Joins : public Links {
 protected:
  Joins() {
    own = seal::SecretBytes::random(stranger.random);
    foreign.endpoint = {"target", "9443"};
    foreign.credentials.own = own->copy();
    foreign.credentials.peer = seal::public_key(*target.meeting.credentials.own);
    target.meeting.credentials.allowed.push_back(seal::public_key(*own));
  }
  std::unique_ptr<HandLane> come(const MeetingSettings& as, const MakeJoin& join = {}, Fault* refused = nullptr) {
    return dial_by_hand(world, stranger, as, source.lane, wire::Role::kSource, join, refused);
  }
  // Of the session's own source.
  MeetingSettings own_meeting() const {
    MeetingSettings same;
    same.endpoint = source.meeting.endpoint;
    same.credentials.own = source.meeting.credentials.own->copy();
    same.credentials.peer = source.meeting.credentials.peer;
    return same;
  }
  void expect_untouched(std::size_t lanes) {
    world.run_for(seconds(1));
    EXPECT_EQ(source.alive(), lanes);
    EXPECT_EQ(target.alive(), lanes);
    EXPECT_EQ(source.lane_lost + target.lane_lost + source.down + target.down, 0);
    EXPECT_FALSE(source.lost || target.lost || source.broke || target.broke);
    EXPECT_EQ(target.blocks, 0);
  }
  wire::Join right_join(const Transcript& transcript) const { return Ticket(target.key, 7).join(transcript); }

  std::optional<seal::SecretBytes> own;
  MeetingSettings foreign;
};

TEST_P(Joins, WithTheKeyOfTheSession) {
  meet(2);
  auto lane = come(own_meeting(), [&](const Transcript& of) { return right_join(of); });
  ASSERT_TRUE(lane);
  world.run_for(seconds(1));
  EXPECT_EQ(lane->count(FrameType::kAck), 1u);
  EXPECT_EQ(target.alive(), 3u);
}

TEST_P(Joins, NothingElseGetsIn) {
  meet(2);
  seal::SecretBytes wrong_key = seal::SecretBytes::random(stranger.random);
  struct Case {
    const char* name;
    MeetingSettings as;
    MakeJoin join;
    Fault fault;
  };
  std::vector<Case> cases;
  cases.push_back({"another session's key", own_meeting(),
                   [&](const Transcript& of) { return Ticket(wrong_key, 7).join(of); }, Fault::kSessionGone});
  cases.push_back({"the session's name without its key", own_meeting(),
                   [&](const Transcript& of) {
                     wire::Join join = Ticket(wrong_key, 7).join(of);
                     join.session = right_join(of).session;
                     return join;
                   },
                   Fault::kNotAllowed});
  cases.push_back({"no proof", own_meeting(),
                   [&](const Transcript& of) {
                     wire::Join join = right_join(of);
                     join.proof = {};
                     return join;
                   },
                   Fault::kNotAllowed});
  cases.push_back({"another lane's proof", own_meeting(),
                   [&](const Transcript& of) {
                     Transcript other = of;
                     other[0] ^= std::byte{1};
                     return right_join(other);
                   },
                   Fault::kNotAllowed});
  cases.push_back({"another run's number", own_meeting(),
                   [&](const Transcript& of) {
                     wire::Join join = right_join(of);
                     ++join.incarnation;
                     return join;
                   },
                   Fault::kNotAllowed});
  cases.push_back({"another principal with the right key", std::move(foreign),
                   [&](const Transcript& of) { return right_join(of); }, Fault::kNotAllowed});
  cases.push_back({"an older run", own_meeting(), [&](const Transcript& of) { return Ticket(target.key, 6).join(of); },
                   Fault::kFenced});
  cases.push_back({"a later run that did not open", own_meeting(),
                   [&](const Transcript& of) { return Ticket(target.key, 8).join(of); }, Fault::kFenced});
  for (Case& each : cases) {
    SCOPED_TRACE(each.name);
    auto lane = come(each.as, each.join);
    ASSERT_TRUE(lane);
    // Whatever it says at once counts for nothing.
    lane->say(FrameType::kAbort, wire::encode(wire::Abort{Fault::kProducerFailed, "a lie"}));
    lane->say(FrameType::kDone);
    std::vector<std::byte> packed(100);
    lane->send_block({0, 0, 100, 100, wire::Encoding::kStored}, packed);
    ASSERT_TRUE(world.run_until([&] { return lane->aborted() != Fault::kNone; }, seconds(5)));
    EXPECT_EQ(lane->aborted(), each.fault);
    expect_untouched(2);
    EXPECT_EQ(target.count(FrameType::kAbort) + target.count(FrameType::kDone), 0u);
  }
  EXPECT_EQ(cases.size(), 8u);
}

TEST_P(Joins, WhereThereIsNoSession) {
  target.start();
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    auto lane = come(own_meeting(), [&](const Transcript& of) { return right_join(of); });
    ASSERT_TRUE(lane);
    ASSERT_TRUE(world.run_until([&] { return lane->aborted() != Fault::kNone; }, seconds(5)));
    EXPECT_EQ(lane->aborted(), Fault::kSessionGone);
    ++refused;
  }
  EXPECT_EQ(refused, 20);
  EXPECT_EQ(target.visitors_left, 0);
  source.start();
  EXPECT_TRUE(up(1));
}

TEST_P(Joins, VisitorsAreFewAndTouchNothing) {
  meet(2);
  std::vector<std::unique_ptr<HandLane>> visitors;
  for (std::size_t i = 0; i < limits::kVisitorsMax; ++i) visitors.push_back(come(foreign));
  world.run_for(seconds(1));
  for (auto& each : visitors) ASSERT_TRUE(each && !each->over());
  EXPECT_EQ(target.fresh, 1 + static_cast<int>(limits::kVisitorsMax));
  Fault refused = Fault::kNone;
  EXPECT_FALSE(come(foreign, {}, &refused));
  EXPECT_EQ(refused, Fault::kBusy);
  // Lanes of the session are welcome all the same.
  world.network().connection(0).reset();
  ASSERT_TRUE(world.run_until([&] { return source.alive() == 1; }, seconds(1)));
  ASSERT_TRUE(up(2));
  source.lane_lost = target.lane_lost = 0;
  expect_untouched(2);

  visitors[1]->close();
  ASSERT_TRUE(world.run_until([&] { return target.visitors_left == 1; }, seconds(5)));
  auto another = come(foreign);
  EXPECT_TRUE(another);
  expect_untouched(2);
}

TEST_P(Joins, WhatVisitorsSayReachesNoSession) {
  meet(2);
  std::vector<std::byte> packed(100);
  auto block = come(foreign);
  block->send_block({0, 0, 100, 100, wire::Encoding::kStored}, packed);
  ASSERT_TRUE(world.run_until([&] { return block->aborted() != Fault::kNone; }, seconds(5)));
  EXPECT_EQ(block->aborted(), Fault::kProtocol);
  auto long_block = come(foreign);
  packed.resize(5000);
  long_block->send_block({0, 0, 5000, 5000, wire::Encoding::kStored}, packed);
  ASSERT_TRUE(world.run_until([&] { return long_block->aborted() != Fault::kNone; }, seconds(5)));
  EXPECT_EQ(long_block->aborted(), Fault::kProtocol);
  expect_untouched(2);
}

// Who is refused and does not hang up is hung up on; else a peer that may come in could hold any number of lanes.
TEST_P(Joins, WhoIsRefusedIsNotKept) {
  meet(1);
  std::vector<std::unique_ptr<StubbornLane>> refused;
  std::size_t most = 0;
  auto kept = [&] {
    std::size_t count = 0;
    for (std::size_t i = 1; i < world.network().connection_count(); ++i) count += world.network().connection(i).whole();
    return count;
  };
  for (int i = 0; i < 100; ++i) {
    auto lane = shake_hands(world, stranger, own_meeting(), source.lane, wire::Role::kSource,
                            [&](const Transcript& of) { return Ticket(target.key, 6).join(of); });
    ASSERT_TRUE(lane);
    refused.push_back(std::make_unique<StubbornLane>(stranger.host, std::move(*lane)));
    world.run_for(milliseconds(20));
    most = std::max(most, kept());
  }
  EXPECT_LE(most, limits::kLanesMax + limits::kVisitorsMax + 1);
  EXPECT_GE(most, limits::kLanesMax);
  world.run_for(limits::kSilenceMax + seconds(1));
  EXPECT_EQ(kept(), 0u) << "they do not hang up by themselves";
  for (auto& each : refused) EXPECT_TRUE(each->refused);
  expect_untouched(1);
}

// All at once: each was told in its handshake that there is room.
TEST_P(Joins, VisitorsThatComeTogetherAreFewToo) {
  meet(1);
  std::vector<std::unique_ptr<Dialling>> dials;
  std::vector<std::unique_ptr<HandLane>> visitors;
  for (int i = 0; i < 8; ++i) {
    dials.push_back(std::make_unique<Dialling>(
        stranger.host, foreign, source.lane, wire::Role::kSource, nullptr, [&](Result<EstablishedLane> lane) {
          if (!lane) return;
          visitors.push_back(std::make_unique<HandLane>(stranger.host, source.lane, std::move(*lane)));
        }));
    dials.back()->start();
  }
  world.run_for(seconds(3));
  std::size_t stay = 0;
  for (auto& each : visitors) {
    stay += !each->over();
    if (each->over()) {
      EXPECT_EQ(each->aborted(), Fault::kBusy);
    }
  }
  EXPECT_GT(visitors.size(), limits::kVisitorsMax) << "else this shows nothing";
  EXPECT_EQ(stay, limits::kVisitorsMax);
  expect_untouched(1);
}

// A newer run opens: what the older one had is fenced, and what it tries afterwards as well.
TEST_P(Joins, ANewerRunFencesTheOlder) {
  meet(3);
  auto newer = come(own_meeting());
  wire::Open open;
  open.incarnation = 9;
  open.block_bytes_max = 4096;
  newer->say(FrameType::kOpen, wire::encode(open));
  ASSERT_TRUE(world.run_until([&] { return newer->count(FrameType::kOpened) == 1; }, seconds(5)));
  ASSERT_TRUE(world.run_until([&] { return source.count(FrameType::kAbort) > 0 || source.lost; }, seconds(5)));
  world.run_for(seconds(5));
  EXPECT_EQ(target.alive(), 1u);
  EXPECT_EQ(target.down, 0);
  for (const auto& [type, bytes] : source.messages) {
    if (type != FrameType::kAbort) continue;
    EXPECT_EQ(wire::decode_abort(bytes).value().fault, Fault::kFenced);
  }
  if (source.lost) {
    EXPECT_EQ(source.lost->fault, Fault::kFenced);
  }
  auto late = come(own_meeting(), [&](const Transcript& of) { return right_join(of); });
  ASSERT_TRUE(world.run_until([&] { return late->aborted() != Fault::kNone; }, seconds(5)));
  EXPECT_EQ(late->aborted(), Fault::kFenced);
  auto right = come(own_meeting(), [&](const Transcript& of) { return Ticket(target.key, 9).join(of); });
  ASSERT_TRUE(world.run_until([&] { return right->count(FrameType::kAck) == 1; }, seconds(5)));
}

// The same run opens once more, since the answer was lost with its lane.
TEST_P(Joins, TheSameRunMayOpenAgain) {
  meet(1);
  auto again = come(own_meeting());
  wire::Open open;
  open.incarnation = 7;
  open.block_bytes_max = 4096;
  again->say(FrameType::kOpen, wire::encode(open));
  ASSERT_TRUE(world.run_until([&] { return again->count(FrameType::kOpened) == 1; }, seconds(5)));
  EXPECT_TRUE(world.run_until([&] { return target.alive() == 1; }, seconds(5)));
}

INSTANTIATE_TEST_SUITE_P(TheTarget, Joins, ::testing::Values(false), [](const auto&) { return "Listens"; });

// A source against a target in the test's hands, which refuses lanes as it likes.
class Refusals : public Links {
 protected:
  void meet_by_hand(std::size_t lanes) {
    Reception::Events events;
    events.busy = [this](bool joins) { return joins && busy; };
    events.lane_up = [this](EstablishedLane lane) { came(std::move(lane)); };
    reception = std::make_unique<Reception>(target.host, target.meeting, target.lane, wire::Role::kTarget,
                                            target.notices, std::move(events));
    ASSERT_TRUE(reception->start().ok());
    source.start();
    ASSERT_TRUE(
        world.run_until([&] { return !lanes_up.empty() && lanes_up[0]->count(FrameType::kOpen) == 1; }, seconds(5)));
    wire::Opened opened;
    std::copy(target.key.bytes().begin(), target.key.bytes().end(), opened.leaf_key.begin());
    opened.lanes = static_cast<std::uint8_t>(lanes);
    lanes_up[0]->say(FrameType::kOpened, wire::encode(opened));
  }
  void came(EstablishedLane lane) {
    bool joins = !lane.join.fresh();
    if (joins) {
      EXPECT_TRUE(Ticket(target.key, 7).proves(lane.join, lane.transcript));
    }
    lanes_up.push_back(std::make_unique<HandLane>(target.host, target.lane, std::move(lane)));
    HandLane& up = *lanes_up.back();
    if (!joins) return;
    if (refuse_next > 0) {
      --refuse_next;
      up.say(FrameType::kAbort, wire::encode(wire::Abort{with, "no"}));
      return up.close();
    }
    if (!mute) up.say(FrameType::kAck, wire::encode(wire::Ack{}));
  }

  bool busy = false;
  bool mute = false;
  int refuse_next = 0;
  Fault with = Fault::kBusy;
  std::unique_ptr<Reception> reception;
  std::vector<std::unique_ptr<HandLane>> lanes_up;
};

TEST_P(Refusals, BusyIsTriedAgain) {
  refuse_next = 5;
  meet_by_hand(4);
  ASSERT_TRUE(world.run_until([&] { return source.alive() == 4; }, seconds(20)));
  EXPECT_EQ(refuse_next, 0);
  EXPECT_EQ(source.lane_lost, 0) << "they never were of the session";
  EXPECT_FALSE(source.lost);
  EXPECT_EQ(source.count(FrameType::kAbort), 0u);
}

TEST_P(Refusals, BusyInTheHandshakeIsTriedAgain) {
  busy = true;
  meet_by_hand(4);
  world.run_for(seconds(20));
  EXPECT_EQ(source.alive(), 1u);
  EXPECT_FALSE(source.lost);
  EXPECT_LE(source.network.dials, 4 * 25) << "and not as fast as it goes";
  busy = false;
  EXPECT_TRUE(world.run_until([&] { return source.alive() == 4; }, seconds(5)));
}

TEST_P(Refusals, WhatCannotBeMendedEndsIt) {
  int checked = 0;
  for (Fault fault : {Fault::kSessionGone, Fault::kFenced, Fault::kNotAllowed}) {
    SCOPED_TRACE(static_cast<int>(fault));
    lanes_up.clear();
    source.lost = {};
    refuse_next = 1;
    with = fault;
    meet_by_hand(2);
    ASSERT_TRUE(world.run_until([&] { return source.lost.has_value(); }, seconds(10)));
    EXPECT_EQ(source.lost->fault, fault);
    int dials = source.network.dials;
    world.run_for(seconds(60));
    EXPECT_EQ(source.network.dials, dials);
    source.link.reset();
    reception.reset();
    ++checked;
  }
  EXPECT_EQ(checked, 3);
}

// Other faults, and the same ones later, are the session's.
TEST_P(Refusals, AnAbortThatIsNotAboutTheLaneIsTheSessions) {
  refuse_next = 1;
  with = Fault::kConsumerFailed;
  meet_by_hand(2);
  ASSERT_TRUE(world.run_until([&] { return source.count(FrameType::kAbort) == 1; }, seconds(10)));
  EXPECT_FALSE(source.lost);
  lanes_up[0]->say(FrameType::kAbort, wire::encode(wire::Abort{Fault::kFenced, "later"}));
  ASSERT_TRUE(world.run_until([&] { return source.count(FrameType::kAbort) == 2; }, seconds(10)));
  EXPECT_FALSE(source.lost);
}

// A target that lets a lane in and says nothing on it: it carries nothing, and is not counted on for ever.
TEST_P(Refusals, ALaneThatIsNeverSpokenOnIsReplaced) {
  mute = true;
  meet_by_hand(2);
  ASSERT_TRUE(world.run_until([&] { return lanes_up.size() == 2; }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_EQ(source.alive(), 1u);
  EXPECT_EQ(source.joined, 0);
  mute = false;
  EXPECT_TRUE(world.run_until([&] { return source.alive() == 2; }, seconds(60)));
}

INSTANTIATE_TEST_SUITE_P(TheTarget, Refusals, ::testing::Values(false), [](const auto&) { return "Listens"; });

// A target that dials, against a source in the test's hands: that one has another session now.
class BusySources : public Links {
 protected:
  void listen() {
    Reception::Events events;
    events.busy = [](bool) { return false; };
    events.lane_up = [this](EstablishedLane lane) {
      bool refuses = refusing && !lane.join.fresh();
      came += !lane.join.fresh();
      lanes_up.push_back(std::make_unique<HandLane>(source.host, source.lane, std::move(lane)));
      if (refuses) {
        lanes_up.back()->say(FrameType::kAbort, wire::encode(wire::Abort{Fault::kBusy, "another session"}));
        lanes_up.back()->close();
      }
    };
    reception = std::make_unique<Reception>(source.host, source.meeting, source.lane, wire::Role::kSource,
                                            source.notices, std::move(events));
    ASSERT_TRUE(reception->start().ok());
  }
  void open_by_hand() {
    listen();
    target.start();
    ASSERT_TRUE(world.run_until([&] { return lanes_up.size() == 1; }, seconds(5)));
    wire::Open open;
    open.incarnation = 7;
    open.block_bytes_max = 4096;
    lanes_up[0]->say(FrameType::kOpen, wire::encode(open));
    ASSERT_TRUE(world.run_until([&] { return lanes_up[0]->count(FrameType::kOpened) == 1; }, seconds(5)));
  }

  bool refusing = false;
  int came = 0;
  std::unique_ptr<Reception> reception;
  std::vector<std::unique_ptr<HandLane>> lanes_up;
};

// Each time the lane is up for a moment; that is no link, and patience for it ends.
TEST_P(BusySources, ATargetThatIsRefusedGivesUpInItsTime) {
  target.patience = seconds(90);
  open_by_hand();
  refusing = true;
  TimePoint begin = world.now();
  cut_all();
  world.run_for(seconds(80));
  EXPECT_FALSE(target.lost);
  EXPECT_GE(came, 50);
  EXPECT_LE(came, 130) << "a try a second, not as fast as it goes";
  ASSERT_TRUE(world.run_until([&] { return target.lost.has_value(); }, seconds(15)));
  EXPECT_NEAR(seconds_since(begin), 90, 3);
  EXPECT_EQ(target.lost->fault, Fault::kLinkLost);
  EXPECT_NE(target.lost->what.find("another session"), std::string::npos) << target.lost->what;
}

TEST_P(BusySources, OrComesInLater) {
  target.patience = seconds(90);
  open_by_hand();
  for (int round = 0; round < 3; ++round) {
    refusing = true;
    world.network().connection(world.network().connection_count() - 1).reset();
    world.run_for(seconds(60));
    EXPECT_FALSE(target.lost) << "each outage has its own patience";
    refusing = false;
    ASSERT_TRUE(world.run_until([&] { return target.alive() == 1; }, seconds(5)));
    world.run_for(round == 0 ? seconds(10) : seconds(1));
    lanes_up.back()->say(FrameType::kFinal, wire::encode(wire::Final{}));
    world.run_for(milliseconds(50));
  }
  EXPECT_FALSE(target.lost);
}

// A lane of the session that this end itself hangs up on is as gone as one that was cut.
TEST_P(BusySources, TheLastLaneThatIsRefusedHereLeavesNoLink) {
  target.patience = seconds(30);
  open_by_hand();
  reception.reset();
  target.link->refuse(*target.link->best(), {Fault::kBusy, "not this", {}});
  ASSERT_TRUE(world.run_until([&] { return target.down == 1; }, seconds(1)));
  ASSERT_TRUE(world.run_until([&] { return target.lost.has_value(); }, seconds(31)));
}

INSTANTIATE_TEST_SUITE_P(TheSource, BusySources, ::testing::Values(true), [](const auto&) { return "Listens"; });

}  // namespace
}  // namespace zferry::pipeline
