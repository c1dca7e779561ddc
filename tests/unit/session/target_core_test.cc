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
  for (E event : {E::kLaneUp, E::kOpenNew, E::kConsumerReady, E::kFinalRight, E::kDelivered, E::kDone}) {
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
    bool delivered = event == E::kDelivered && (state == S::kDelivering || state == S::kDeliveringAlone);
    bool known = event == E::kFinalRight && state == S::kComparing;
    EXPECT_TRUE(delivered || known);
  });
  EXPECT_EQ(successes, 3);
  EXPECT_EQ(pairs, 10 * 16);
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
    EXPECT_TRUE(has(row.then, A::kNoteSuccess));
  });
  EXPECT_EQ(answers, 2);
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
  EXPECT_GT(ways, 8);
}

TEST(TargetCore, ALaneLostWhileDeliveringLeavesTheVerdictToTheConsumer) {
  for (E event : {E::kLaneLost, E::kPeerAborted}) {
    TargetCore core = core_in(S::kDelivering);
    core.on(event, news_of(Fault::kLinkLost), {});
    EXPECT_EQ(core.state(), S::kDeliveringAlone);
    TargetNews how;
    how.completion = wire::Completion::kApplied;
    core.on(E::kDelivered, how, {});
    EXPECT_EQ(core.state(), S::kEnded);
    EXPECT_TRUE(core.ending().ok());
  }
  TargetCore core = core_in(S::kDelivering);
  core.on(E::kLaneLost, news_of(Fault::kLinkLost), {});
  core.on(E::kLocalFailed, news_of(Fault::kConsumerFailed), {});
  EXPECT_EQ(core.ending().error.fault, Fault::kConsumerFailed);
  TargetCore before = core_in(S::kReceiving);
  before.on(E::kLaneLost, news_of(Fault::kLinkLost), {});
  EXPECT_EQ(before.ending().error.fault, Fault::kLinkLost);
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
    if (!has(TargetCore::table().row(state, event).then, A::kForgetRecord)) return;
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
      for (SourceEvent event : {SourceEvent::kLaneUp, SourceEvent::kIdentified, SourceEvent::kOpenedFromStart})
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
  for (E event : {E::kOpenNew, E::kOpenKnown, E::kDone}) {
    TargetCore core = core_in(S::kReceiving);
    core.on(event, {}, {});
    breaches += core.ending().error.fault == Fault::kProtocol;
  }
  EXPECT_EQ(breaches, 3);
}

TEST(TargetCore, NothingLeavesEnded) {
  int rows = 0;
  for_each_pair([&](S state, E event) {
    if (state != S::kEnded) return;
    ++rows;
    EXPECT_EQ(TargetCore::table().row(state, event).to, S::kEnded);
    EXPECT_TRUE(TargetCore::table().row(state, event).then.empty());
  });
  EXPECT_EQ(rows, 16);
}

TEST(TargetCore, WhateverEndsFinishes) {
  int ways = 0;
  for_each_pair([&](S state, E event) {
    const auto& row = TargetCore::table().row(state, event);
    if (state == S::kEnded || row.to != S::kEnded) return;
    ++ways;
    EXPECT_EQ(row.then.back(), A::kFinish) << TargetTraits::name(state) << " " << TargetTraits::name(event);
  });
  EXPECT_GT(ways, 15);
}

}  // namespace zferry::session
