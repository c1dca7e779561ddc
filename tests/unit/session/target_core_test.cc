#include "session/target_core.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "session/source_core.h"
#include "unit/session/table_text.h"

namespace zferry::session {
namespace {

using S = TargetState;
using E = TargetEvent;
using A = TargetAction;

constexpr Duration kLinger = std::chrono::seconds(60);

TargetNews news_of(Fault fault) { return {{fault, "a test's", {}}}; }

TargetCore core_in(S wanted) {
  TargetCore core(kLinger);
  for (E event : {E::kOpenNew, E::kConsumerReady, E::kFinalRight, E::kDelivered, E::kDone}) {
    if (core.state() == wanted) return core;
    core.on(event, {}, {});
  }
  EXPECT_EQ(core.state(), wanted);
  return core;
}

bool has(const std::vector<A>& actions, A action) {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

template <class Do>
int for_each_pair(Do visit) {
  int pairs = 0;
  for (int s = 0; s < static_cast<int>(S::kCount); ++s)
    for (int e = 0; e < static_cast<int>(E::kCount); ++e, ++pairs) visit(static_cast<S>(s), static_cast<E>(e));
  return pairs;
}

}  // namespace

TEST(TargetCore, TableIsTheGoldenOne) { expect_golden("target.table", TargetCore::table().text()); }

TEST(TargetCore, NamesAreThere) {
  for_each_pair([](S state, E event) {
    EXPECT_FALSE(TargetTraits::name(state).empty());
    EXPECT_FALSE(TargetTraits::name(event).empty());
  });
}

TEST(TargetCore, OnlyADeliveryOrARecordMakesSuccess) {
  int successes = 0;
  int pairs = for_each_pair([&](S state, E event) {
    if (!has(TargetCore::table().row(state, event).then, A::kNoteSuccess)) return;
    ++successes;
    bool delivered =
        event == E::kDelivered && (state == S::kDelivering || state == S::kStarting || state == S::kReceiving);
    bool known = event == E::kFinalRight && state == S::kComparing;
    EXPECT_TRUE(delivered || known);
  });
  EXPECT_EQ(successes, 4);
  EXPECT_EQ(pairs, 9 * 20);
}

TEST(TargetCore, OnlyARightFinalReleasesTheTail) {
  int releases = 0;
  for_each_pair([&](S state, E event) {
    if (!has(TargetCore::table().row(state, event).then, A::kReleaseTail)) return;
    ++releases;
    EXPECT_EQ(state, S::kReceiving);
    EXPECT_EQ(event, E::kFinalRight);
  });
  EXPECT_EQ(releases, 1);
}

TEST(TargetCore, FinalAckGoesOnlyWithSuccess) {
  int answers = 0;
  for_each_pair([&](S state, E event) {
    const auto& row = TargetCore::table().row(state, event);
    if (!has(row.then, A::kSendFinalAck)) return;
    ++answers;
    bool known_before = state == S::kLingering || state == S::kAnswering;
    EXPECT_TRUE(known_before || has(row.then, A::kNoteSuccess));
    EXPECT_EQ(row.to, S::kLingering);
  });
  EXPECT_EQ(answers, 6);
}

TEST(TargetCore, EveryWayOutBeforeFinalDropsTheConsumer) {
  int ways = 0;
  for_each_pair([&](S state, E event) {
    const auto& row = TargetCore::table().row(state, event);
    bool ends = row.to == S::kAborting || row.to == S::kEnded;
    if ((state != S::kStarting && state != S::kReceiving) || !ends) return;
    ++ways;
    EXPECT_TRUE(has(row.then, A::kDropConsumer)) << TargetTraits::name(event);
  });
  EXPECT_EQ(ways, 17);
}

// From the tail's release on the consumer's word is all that counts: nothing on the link, no peer and no operator.
TEST(TargetCore, NothingButTheConsumerDecidesADelivery) {
  int ignored = 0;
  for (int e = 0; e < static_cast<int>(E::kCount); ++e) {
    auto event = static_cast<E>(e);
    if (event == E::kDelivered || event == E::kLocalFailed) continue;
    TargetCore core = core_in(S::kDelivering);
    core.on(event, news_of(Fault::kProtocol), {});
    EXPECT_EQ(core.state(), S::kDelivering) << TargetTraits::name(event);
    EXPECT_FALSE(core.ending().decided());
    TargetNews how;
    how.completion = wire::Completion::kApplied;
    core.on(E::kDelivered, how, {});
    EXPECT_TRUE(core.ending().ok());
    ++ignored;
  }
  EXPECT_EQ(ignored, 18);
  TargetCore core = core_in(S::kDelivering);
  core.on(E::kLinkLost, news_of(Fault::kLinkLost), {});
  core.on(E::kLocalFailed, news_of(Fault::kConsumerFailed), {});
  EXPECT_EQ(core.ending().error.fault, Fault::kConsumerFailed);
  TargetCore before = core_in(S::kReceiving);
  before.on(E::kLinkLost, news_of(Fault::kLinkLost), {});
  EXPECT_EQ(before.ending().error.fault, Fault::kLinkLost);
}

// What is complete stays so, whatever comes, and ends within the linger; asking does not go on without an asker.
TEST(TargetCore, ASuccessStandsWhateverComes) {
  int pairs = 0;
  for (int first = 0; first < static_cast<int>(E::kCount); ++first) {
    for (int second = 0; second < static_cast<int>(E::kCount); ++second, ++pairs) {
      TargetCore core = core_in(S::kLingering);
      core.on(static_cast<E>(first), news_of(Fault::kLinkLost), {});
      core.on(static_cast<E>(second), news_of(Fault::kConsumerFailed), {});
      EXPECT_TRUE(core.ending().ok());
      EXPECT_TRUE(core.state() == S::kLingering || core.state() == S::kAnswering || core.state() == S::kEnded);
      EXPECT_EQ(core.state() == S::kLingering, core.deadline() != kNever);
    }
  }
  EXPECT_EQ(pairs, 20 * 20);
  for (E gone : {E::kLinkDown, E::kLinkLost, E::kPeerAborted, E::kPeerBroke, E::kFinalWrong}) {
    TargetCore core = core_in(S::kLingering);
    core.on(E::kOpenAgain, {}, {});
    ASSERT_EQ(core.state(), S::kAnswering);
    core.on(gone, news_of(Fault::kLinkLost), {});
    EXPECT_EQ(core.state(), S::kLingering) << TargetTraits::name(gone);
    EXPECT_NE(core.deadline(), kNever) << TargetTraits::name(gone);
  }
}

TEST(TargetCore, ALinkThatIsGivenUpEndsEveryStateThatWaitsForIt) {
  int ends = 0;
  for (S state : {S::kWaiting, S::kStarting, S::kReceiving, S::kLingering}) {
    TargetCore core = core_in(state);
    core.on(E::kLinkLost, news_of(Fault::kLinkLost), {});
    ends += core.state() == S::kEnded || core.deadline() != kNever;
  }
  EXPECT_EQ(ends, 4);
}

// A source takes a further lane into use once the target has said something on it: so it must, in every state in which
// a lane can join.
TEST(TargetCore, ALaneThatJoinsHearsSomethingInEveryState) {
  int heard = 0;
  for (S state : {S::kReceiving, S::kComparing, S::kDelivering, S::kLingering, S::kAnswering}) {
    const auto& row = TargetCore::table().row(state, E::kLinkBack);
    EXPECT_EQ(row.to, state);
    heard += row.then == std::vector<A>{A::kRepeatAck};
  }
  EXPECT_EQ(heard, 5);
}

TEST(TargetCore, AnOperatorCannotUndoADelivery) {
  TargetCore core = core_in(S::kDelivering);
  EXPECT_TRUE(core.on(E::kInterrupted, news_of(Fault::kInterrupted), {}).empty());
  EXPECT_EQ(core.state(), S::kDelivering);
  core = core_in(S::kLingering);
  core.on(E::kInterrupted, news_of(Fault::kInterrupted), {});
  EXPECT_TRUE(core.ending().ok());
}

TEST(TargetCore, OnlyDoneRetiresTheRecord) {
  int retirements = 0;
  for_each_pair([&](S state, E event) {
    if (!has(TargetCore::table().row(state, event).then, A::kRetireRecord)) return;
    ++retirements;
    EXPECT_EQ(event, E::kDone);
    EXPECT_EQ(state, S::kLingering);
  });
  EXPECT_EQ(retirements, 1);
}

TEST(TargetCore, LingeringAndAbortingEndByTheirDeadline) {
  TimePoint now{std::chrono::seconds(100)};
  TargetCore core = core_in(S::kDelivering);
  EXPECT_EQ(core.deadline(), kNever);
  core.on(E::kDelivered, {}, now);
  EXPECT_EQ(core.deadline(), now + kLinger);
  core.on(E::kProgress, {}, now + std::chrono::seconds(1));
  EXPECT_EQ(core.deadline(), now + kLinger);
  EXPECT_TRUE(has(core.on(E::kDeadline, {}, core.deadline()), A::kFinish));
  EXPECT_TRUE(core.ending().ok());
  TargetCore aborting = core_in(S::kReceiving);
  aborting.on(E::kInterrupted, news_of(Fault::kInterrupted), now);
  EXPECT_EQ(aborting.deadline(), now + std::chrono::seconds(3));
  aborting.on(E::kDeadline, {}, {});
  EXPECT_EQ(aborting.state(), S::kEnded);
  EXPECT_EQ(aborting.deadline(), kNever);
}

// Both ends abort at once; each then hears of the other's.
TEST(TargetCore, CrossingAbortsChooseTheSameFault) {
  const std::vector<Fault> faults = {Fault::kInterrupted,      Fault::kProtocol,     Fault::kProducerFailed,
                                     Fault::kStreamDamaged,    Fault::kInputFailed,  Fault::kConsumerFailed,
                                     Fault::kStreamIncomplete, Fault::kOutputFailed, Fault::kStateFailed};
  int pairs = 0;
  for (Fault ours : faults) {
    for (Fault theirs : faults) {
      SourceCore source;
      for (SourceEvent event : {SourceEvent::kLinkUp, SourceEvent::kIdentified, SourceEvent::kOpened})
        source.on(event, {}, {});
      TargetCore target = core_in(S::kReceiving);
      source.on(SourceEvent::kLocalFailed, {{ours, "", {}}}, {});
      target.on(E::kLocalFailed, news_of(theirs), {});
      source.on(SourceEvent::kPeerAborted, {{theirs, "", {}}}, {});
      target.on(E::kPeerAborted, news_of(ours), {});
      EXPECT_EQ(source.ending().error.fault, target.ending().error.fault);
      EXPECT_EQ(source.ending().error.fault, std::min(ours, theirs));
      ++pairs;
    }
  }
  EXPECT_EQ(pairs, 81);
}

TEST(TargetCore, MessagesOutOfTurnAreABreach) {
  int breaches = 0;
  for (E event : {E::kFinalAgain, E::kDone}) {
    TargetCore core = core_in(S::kReceiving);
    core.on(event, {}, {});
    breaches += core.ending().error.fault == Fault::kProtocol;
  }
  EXPECT_EQ(breaches, 2);
}

TEST(TargetCore, NothingLeavesEnded) {
  int rows = 0;
  for_each_pair([&](S state, E event) {
    if (state != S::kEnded) return;
    ++rows;
    EXPECT_EQ(TargetCore::table().row(state, event).to, S::kEnded);
    EXPECT_TRUE(TargetCore::table().row(state, event).then.empty());
  });
  EXPECT_EQ(rows, 20);
}

TEST(TargetCore, WhateverEndsFinishes) {
  int ways = 0;
  for_each_pair([&](S state, E event) {
    const auto& row = TargetCore::table().row(state, event);
    if (state == S::kEnded || row.to != S::kEnded) return;
    ++ways;
    EXPECT_EQ(row.then.back(), A::kFinish) << TargetTraits::name(state) << " " << TargetTraits::name(event);
  });
  EXPECT_EQ(ways, 14);
}

}  // namespace zferry::session
