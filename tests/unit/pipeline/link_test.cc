// How lanes come up, die, are replaced and given up, whoever of the two ends listens.
#include "pipeline/link.h"

#include <gtest/gtest.h>

#include "unit/pipeline/link_ends.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using wire::FrameType;

TEST_P(Links, AsManyLanesComeUpAsAreAgreed) {
  for (std::size_t lanes : {1, 4, 16}) {
    SCOPED_TRACE(lanes);
    SetUp();
    target.lanes = lanes;
    source.fresh = source.joined = target.fresh = target.joined = 0;
    std::size_t before = world.network().connection_count();
    start();
    ASSERT_TRUE(up(lanes));
    world.run_for(seconds(30));
    EXPECT_EQ(source.alive(), lanes);
    EXPECT_EQ(target.alive(), lanes);
    EXPECT_EQ(world.network().connection_count() - before, lanes) << "and no more";
    EXPECT_EQ(source.fresh + target.fresh, 2);
    EXPECT_EQ(source.joined, static_cast<int>(lanes) - 1);
    EXPECT_EQ(target.joined, static_cast<int>(lanes) - 1);
    for (LinkEnd* end : {&source, &target}) {
      EXPECT_EQ(end->link->statistics().reconnects, 0u);
      EXPECT_EQ(end->link->statistics().lanes_lost, 0u);
      EXPECT_FALSE(end->lost || end->broke);
      EXPECT_NE(end->link->best(), nullptr);
      end->link.reset();
    }
    world.run_for(seconds(1));
  }
}

TEST_P(Links, TheSourceSaysHowManyLanesThereAre) {
  target.lanes = 16;
  start();
  ASSERT_TRUE(up(16));
  // Down, up, and down to one: none of them is a loss, and nothing is said of it but by the links themselves.
  for (std::size_t lanes : {4, 7, 1}) {
    SCOPED_TRACE(lanes);
    source.link->set_lanes(lanes);
    ASSERT_TRUE(up(lanes));
    world.run_for(seconds(20));
    EXPECT_EQ(source.alive(), lanes);
    EXPECT_EQ(target.alive(), lanes);
    EXPECT_EQ(source.count(FrameType::kLanes) + target.count(FrameType::kLanes), 0u);
  }
  for (LinkEnd* end : {&source, &target}) {
    EXPECT_EQ(end->link->statistics().lanes_lost, 0u);
    EXPECT_EQ(end->link->statistics().reconnects, 0u);
    EXPECT_FALSE(end->lost || end->broke || end->down);
  }
  EXPECT_EQ(source.lane_lost, 12 + 6) << "what they had is sent again unless it is known to be there";
  EXPECT_EQ(target.lane_lost, 0);
  // A lane that is lost is dialled again, up to what is wanted now.
  source.link->set_lanes(3);
  ASSERT_TRUE(up(3));
  cut_all();
  ASSERT_TRUE(up(3));
  world.run_for(seconds(20));
  EXPECT_EQ(source.alive(), 3u);
  EXPECT_EQ(target.alive(), 3u);
}

TEST_P(Links, TheLimitFollowsWhatItIsAskedOf) {
  Result<std::uint64_t> now = std::uint64_t{5000};
  std::vector<std::string> told;
  source.lane.rate_bytes_per_s = 5000;
  source.lane.rate_now = [&] { return now; };
  source.notices.info = source.notices.warning = [&](const std::string& text) { told.push_back(text); };
  meet(1);
  EXPECT_EQ(source.link->rate_bytes_per_s(), 5000u);
  now = std::uint64_t{0};
  world.run_for(seconds(2));
  EXPECT_EQ(source.link->rate_bytes_per_s(), 0u);
  now = std::uint64_t{7000};
  world.run_for(seconds(2));
  now = Error{Fault::kUsage, "cannot be read", {}};
  world.run_for(seconds(5));
  EXPECT_EQ(source.link->rate_bytes_per_s(), 7000u) << "as it was";
  ASSERT_EQ(told.size(), 3u) << "each once";
  EXPECT_EQ(told[2], "cannot be read; the limit stays as it was");
}

TEST_P(Links, ALaneThatRetiresCarriesWhatItHasFirst) {
  target.lanes = 4;
  start();
  ASSERT_TRUE(up(4));
  flow::BufferPool blocks(8, 4096);
  int sent = 0;
  for (Lane* lane : source.link->carriers()) {
    wire::Block header{static_cast<std::uint64_t>(sent), 4096u * static_cast<std::uint64_t>(sent), 4096, 4096,
                       wire::Encoding::kStored};
    flow::Buffer buffer = blocks.take();
    lane->send_block(header, {buffer, ConstBytes(*buffer).first(4096)});
    ++sent;
  }
  source.link->set_lanes(1);
  EXPECT_EQ(source.alive(), 1u) << "at once";
  ASSERT_TRUE(up(1));
  world.run_for(seconds(5));
  EXPECT_EQ(sent, 4);
  EXPECT_EQ(target.blocks, 4);
  EXPECT_EQ(source.lane_lost, 3);
  EXPECT_EQ(target.lane_lost, 0);
  EXPECT_FALSE(target.broke || source.broke);
}

TEST_P(Links, TheFirstConnectFailsWithinSeconds) {
  TimePoint begin = world.now();
  dialler().start();
  ASSERT_TRUE(world.run_until([&] { return dialler().lost.has_value(); }, seconds(30)));
  EXPECT_EQ(dialler().lost->fault, Fault::kUnreachable) << "nobody listens";
  EXPECT_LT(seconds_since(begin), 1);

  dialler().lost.reset();
  part();
  begin = world.now();
  dialler().start();
  ASSERT_TRUE(world.run_until([&] { return dialler().lost.has_value(); }, seconds(30)));
  EXPECT_EQ(dialler().lost->fault, Fault::kUnreachable) << "nobody answers";
  EXPECT_LT(seconds_since(begin), 11);
  heal();

  dialler().lost.reset();
  listener().meeting.credentials.allowed.clear();
  listener().start();
  dialler().start();
  ASSERT_TRUE(world.run_until([&] { return dialler().lost.has_value(); }, seconds(30)));
  EXPECT_EQ(dialler().lost->fault, Fault::kNotAllowed);
  int dials = dialler().network.dials;
  world.run_for(hours(1));
  EXPECT_EQ(dialler().network.dials, dials) << "nothing of it is tried again";
  EXPECT_FALSE(listener().lost);
}

TEST_P(Links, ALaneThatDiesIsReplacedWhileTheOthersLive) {
  meet(4);
  for (std::size_t victim : {2, 0, 4}) {
    TimePoint begin = world.now();
    world.network().connection(victim).reset();
    ASSERT_TRUE(world.run_until([&] { return source.alive() < 4; }, seconds(5)));
    ASSERT_TRUE(up(4));
    EXPECT_LT(seconds_since(begin), 2) << victim;
    world.run_for(seconds(1));
  }
  for (LinkEnd* end : {&source, &target}) {
    EXPECT_EQ(end->lane_lost, 3);
    EXPECT_EQ(end->down, 0);
    EXPECT_EQ(end->link->statistics().lanes_lost, 3u);
    EXPECT_EQ(end->link->statistics().reconnects, 0u) << "the link was never gone";
    EXPECT_EQ(end->link->statistics().without_link, Duration(0));
    EXPECT_EQ(end->joined, 6);
  }
  EXPECT_EQ(dialler().network.dials, 7);
}

TEST_P(Links, AllLanesDieAndComeBack) {
  meet(4);
  part();
  ASSERT_TRUE(world.run_until([&] { return source.down == 1 && target.down == 1; }, seconds(30)));
  world.run_for(std::chrono::minutes(50));
  EXPECT_FALSE(source.lost || target.lost);
  EXPECT_TRUE(source.link->carriers().empty());
  EXPECT_EQ(source.link->best(), nullptr);
  TimePoint healed = world.now();
  heal();
  ASSERT_TRUE(up(4));
  EXPECT_LT(seconds_since(healed), 5) << "all of them, soon";
  world.run_for(hours(2));
  for (LinkEnd* end : {&source, &target}) {
    EXPECT_FALSE(end->lost);
    EXPECT_EQ(end->down, 1);
    EXPECT_EQ(end->link->statistics().reconnects, 1u);
    EXPECT_EQ(end->link->statistics().lanes_lost, 4u);
    EXPECT_NEAR(zferry::seconds(end->link->statistics().without_link), 50 * 60 + 12, 5);
    EXPECT_EQ(end->alive(), 4u);
  }
}

// Many short cuts: each is a reconnect of its own, and nothing is left of it.
TEST_P(Links, CutsOneAfterTheOther) {
  meet(3);
  for (int cut = 1; cut <= 40; ++cut) {
    cut_all();
    ASSERT_TRUE(world.run_until([&] { return source.down == cut && target.down == cut; }, seconds(5)));
    ASSERT_TRUE(up(3)) << cut;
    if (cut % 3 == 0) world.run_for(milliseconds(300));
  }
  world.run_for(seconds(5));
  for (LinkEnd* end : {&source, &target}) {
    EXPECT_EQ(end->link->statistics().reconnects, 40u);
    EXPECT_EQ(end->link->statistics().lanes_lost, 120u);
    EXPECT_LT(zferry::seconds(end->link->statistics().without_link), 40 * 1.2);
    EXPECT_EQ(end->alive(), 3u);
    EXPECT_FALSE(end->lost);
  }
}

TEST_P(Links, PatienceEnds) {
  source.patience = target.patience = seconds(60);
  meet(2);
  part();
  ASSERT_TRUE(world.run_until([&] { return source.down + target.down == 2; }, seconds(30)));
  TimePoint down = world.now();
  world.run_for(seconds(55));
  EXPECT_FALSE(source.lost || target.lost);
  ASSERT_TRUE(world.run_until([&] { return source.lost && target.lost; }, seconds(10)));
  EXPECT_NEAR(seconds_since(down), 60, 2);
  for (LinkEnd* end : {&source, &target}) EXPECT_EQ(end->lost->fault, Fault::kLinkLost);
  heal();
  int dials = dialler().network.dials;
  world.run_for(hours(1));
  EXPECT_EQ(dialler().network.dials, dials);
  EXPECT_EQ(source.alive() + target.alive(), 0u) << "nobody is let in afterwards";
}

TEST_P(Links, PatienceMayChangeWhileItRuns) {
  source.patience = target.patience = hours(1);
  meet(2);
  part();
  ASSERT_TRUE(world.run_until([&] { return source.down + target.down == 2; }, seconds(30)));
  source.link->set_patience(seconds(20));
  target.link->set_patience(kForEver);
  ASSERT_TRUE(world.run_until([&] { return source.lost.has_value(); }, seconds(21)));
  world.run_for(hours(3));
  EXPECT_FALSE(target.lost);
  target.link->set_patience(seconds(5));
  ASSERT_TRUE(world.run_until([&] { return target.lost.has_value(); }, seconds(6)))
      << "it had none to count down, and has now";
}

TEST_P(Links, WithoutPatienceALostLinkIsLostAtOnce) {
  source.patience = target.patience = Duration(0);
  meet(3);
  world.network().connection(1).reset();
  ASSERT_TRUE(world.run_until([&] { return source.lane_lost + target.lane_lost == 2; }, seconds(2)));
  EXPECT_FALSE(source.lost || target.lost) << "others live";
  ASSERT_TRUE(up(3)) << "and it is replaced";
  cut_all();
  ASSERT_TRUE(world.run_until([&] { return source.lost && target.lost; }, seconds(2)));
  EXPECT_EQ(source.down + target.down, 0);
  EXPECT_EQ(source.lost->fault, Fault::kLinkLost);
  int dials = dialler().network.dials;
  world.run_for(seconds(60));
  EXPECT_EQ(dialler().network.dials, dials);
}

// The path of one lane is gone, and nobody says so: it gets nothing to carry after two seconds, and a replacement.
TEST_P(Links, ASilentLaneIsReplaced) {
  meet(2);
  TimePoint begin = world.now();
  world.network().connection(1).silence();
  ASSERT_TRUE(world.run_until([&] { return dialler().alive() == 1; }, seconds(10)));
  EXPECT_GE(seconds_since(begin), 1.4);
  EXPECT_LE(seconds_since(begin), 2.1);
  ASSERT_TRUE(up(2));
  EXPECT_LE(seconds_since(begin), 4);
  world.run_for(seconds(1));
  for (LinkEnd* end : {&source, &target}) {
    EXPECT_EQ(end->link->statistics().lanes_lost, 1u) << "nothing more is expected of it";
    EXPECT_EQ(end->link->statistics().reconnects, 0u);
    EXPECT_EQ(end->down, 0);
  }
}

TEST_P(Links, SilenceOfAllIsAnOutageThatWasNoticedAfterTwoSeconds) {
  meet(2);
  TimePoint begin = world.now();
  for (std::size_t i : {0, 1}) world.network().connection(i).silence();
  ASSERT_TRUE(world.run_until([&] { return dialler().network.dials > 2; }, seconds(10)));
  EXPECT_LE(seconds_since(begin), 3);
  ASSERT_TRUE(up(2));
  EXPECT_LE(seconds_since(begin), 4) << "long before anything is dead";
  world.run_for(seconds(1));
  for (LinkEnd* end : {&source, &target}) {
    EXPECT_EQ(end->link->statistics().lanes_lost, 2u);
    EXPECT_EQ(end->link->statistics().reconnects, 1u);
    EXPECT_EQ(end->down, 0) << "one was there before the last was dead";
    EXPECT_NEAR(zferry::seconds(end->link->statistics().without_link), 2.3, 1.5);
  }
}

TEST_P(Links, SilenceWithoutAReplacementIsDeathInTime) {
  meet(2);
  TimePoint begin = world.now();
  part();
  ASSERT_TRUE(world.run_until([&] { return source.down == 1 && target.down == 1; }, seconds(30)));
  EXPECT_GE(seconds_since(begin), 11);
  EXPECT_LE(seconds_since(begin), 13.5);
}

// A stall that ends is none: what was suspected carries on.
TEST_P(Links, AStallThatEndsCostsNothing) {
  meet(1);
  world.network().connection(0).stall(milliseconds(1500));
  world.run_for(seconds(30));
  EXPECT_EQ(source.lane_lost + target.lane_lost, 0);
  EXPECT_EQ(source.alive(), 1u);
  EXPECT_EQ(world.network().connection_count(), 1u);
}

TEST_P(Links, BackOffIsBounded) {
  for (bool answered : {false, true}) {
    SCOPED_TRACE(answered);
    target.lanes = 4;
    start();
    ASSERT_TRUE(up(4));
    // With an answer: the host is there and nobody listens. Without: packets vanish.
    if (answered) {
      listener().link.reset();
    } else {
      part();
    }
    world.run_for(seconds(3));
    int before = dialler().network.dials;
    dialler().network.most_at_once = 0;
    world.run_for(seconds(60));
    int dials = dialler().network.dials - before;
    EXPECT_GE(dials, 40);
    EXPECT_LE(dials, 90);
    // A scout that was given up keeps its socket until the kernel's own patience ends.
    EXPECT_LE(dialler().network.most_at_once, answered ? 4 : 13);
    EXPECT_FALSE(dialler().lost);
    heal();
    source.link.reset();
    target.link.reset();
    world.run_for(seconds(15));
  }
}

// Never more at once than the listener gives one address, however long each takes; and hardly any in vain.
TEST_P(Links, AFewDialsAtATime) {
  target.lanes = 16;
  world.network().link().latency = milliseconds(300);
  start();
  ASSERT_TRUE(up(16, seconds(60)));
  EXPECT_LE(dialler().network.most_at_once, static_cast<int>(limits::kDialsMax));
  world.run_for(seconds(60));
  EXPECT_LE(world.network().connection_count(), 20u);
  EXPECT_EQ(source.alive(), 16u);
  EXPECT_EQ(target.alive(), 16u);
  EXPECT_EQ(dialler().link->statistics().lanes_lost, 0u);
}

// A handshake that takes seconds: the scouts that come after it must not call it off.
TEST_P(Links, ALinkOfLongDelayComesBack) {
  for (int latency_ms : {300, 800}) {
    SCOPED_TRACE(latency_ms);
    world.network().link().latency = milliseconds(latency_ms);
    target.lanes = 2;
    start();
    ASSERT_TRUE(up(2, seconds(60)));
    source.down = target.down = 0;
    for (int cut = 1; cut <= 5; ++cut) {
      cut_all();
      ASSERT_TRUE(world.run_until([&] { return source.down == cut && target.down == cut; }, seconds(10)));
      ASSERT_TRUE(up(2, seconds(60)));
      world.run_for(seconds(10));
    }
    EXPECT_EQ(dialler().link->statistics().reconnects, 5u);
    source.link.reset();
    target.link.reset();
    world.run_for(seconds(20));
  }
}

TEST_P(Links, CloseEndsOnceHoweverManyLanes) {
  for (std::size_t lanes : {0, 1, 4, 16}) {
    SCOPED_TRACE(lanes);
    target.lanes = lanes;
    source.closed = target.closed = 0;
    if (lanes == 0) {
      listener().start();
      listener().link->close();
      ASSERT_TRUE(world.run_until([&] { return listener().closed == 1; }, seconds(5)));
      world.run_for(seconds(30));
      EXPECT_EQ(listener().closed, 1);
      listener().link.reset();
      continue;
    }
    start();
    ASSERT_TRUE(up(lanes));
    // Either may begin; the other hears the end of each lane and follows.
    source.link->close();
    source.link->close();
    target.link->close();
    ASSERT_TRUE(world.run_until([&] { return source.closed > 0 && target.closed > 0; }, seconds(5)));
    int dials = dialler().network.dials;
    world.run_for(seconds(60));
    EXPECT_EQ(source.closed, 1);
    EXPECT_EQ(target.closed, 1);
    EXPECT_EQ(dialler().network.dials, dials);
    EXPECT_FALSE(source.lost || target.lost);
    source.link.reset();
    target.link.reset();
  }
}

TEST_P(Links, CloseWhileDiallingEndsToo) {
  for (int i = 0; i < 60; ++i) {
    target.lanes = 4;
    source.closed = target.closed = 0;
    source.lost = target.lost = {};
    start();
    world.run_for(microseconds(static_cast<std::int64_t>(world.random().below(4000))));
    bool dialler_first = i % 2 == 0;
    (dialler_first ? dialler() : listener()).link->close();
    world.run_for(microseconds(static_cast<std::int64_t>(world.random().below(4000))));
    (dialler_first ? listener() : dialler()).link->close();
    ASSERT_TRUE(world.run_until([&] { return source.closed == 1 && target.closed == 1; }, seconds(40))) << i;
    source.link.reset();
    target.link.reset();
    world.run_for(milliseconds(5));
  }
}

// At any event of the world one end is destroyed: dialling, shaking hands, joining, in a cut. For ASan above all.
TEST_P(Links, MayBeDestroyedAtAnyMoment) {
  int destroyed = 0;
  for (int i = 0; i < 300; ++i) {
    target.lanes = 1 + world.random().below(8);
    source.lost = target.lost = {};
    start();
    bool cut = world.random().chance(0.5);
    bool close = world.random().chance(0.3);
    if (cut) up(target.lanes);
    if (cut) cut_all();
    for (std::uint64_t steps = world.random().below(cut ? 200 : 400); steps > 0; --steps) world.step();
    LinkEnd& first = world.random().chance(0.5) ? source : target;
    if (close) first.link->close();
    first.link.reset();
    ++destroyed;
    for (std::uint64_t steps = world.random().below(100); steps > 0; --steps) world.step();
    source.link.reset();
    target.link.reset();
    if (i % 10 == 0) world.run_for(seconds(20));
  }
  world.run_for(seconds(30));
  EXPECT_EQ(destroyed, 300);
  for (std::size_t i = 0; i < world.network().connection_count(); ++i)
    EXPECT_FALSE(world.network().connection(i).whole()) << i;
}

INSTANTIATE_TEST_SUITE_P(WhoListens, Links, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "TheSource" : "TheTarget"; });

}  // namespace
}  // namespace zferry::pipeline
