#include "session/source_core.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/session/table_text.h"

namespace zferry::session {
namespace {

using S = SourceState;
using E = SourceEvent;
using A = SourceAction;

SourceNews news_of(Fault fault) { return {{fault, "a test's", {}}}; }

// Takes the core along the straight way.
SourceCore core_in(S wanted) {
  SourceCore core;
  for (E event : {E::kLinkUp, E::kIdentified, E::kOpened, E::kStreamWhole, E::kFinalAck}) {
    if (core.state() == wanted) return core;
    core.on(event, {}, {});
  }
  if (wanted == S::kEnded) core.on(E::kLinkClosed, {}, {});
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

TEST(SourceCore, TableIsTheGoldenOne) { expect_golden("source.table", SourceCore::table().text()); }

TEST(SourceCore, NamesAreThere) {
  for_each_pair([](S state, E event) {
    EXPECT_FALSE(SourceTraits::name(state).empty());
    EXPECT_FALSE(SourceTraits::name(event).empty());
  });
}

TEST(SourceCore, OnlyFinalAckMakesSuccess) {
  int successes = 0;
  int pairs = for_each_pair([&](S state, E event) {
    if (!has(SourceCore::table().row(state, event).then, A::kNoteSuccess)) return;
    ++successes;
    EXPECT_EQ(state, S::kFinalSent);
    EXPECT_EQ(event, E::kFinalAck);
  });
  EXPECT_EQ(successes, 1);
  EXPECT_EQ(pairs, 9 * 16);
}

TEST(SourceCore, SuccessSaysHow) {
  SourceCore core = core_in(S::kFinalSent);
  SourceNews news;
  news.completion = wire::Completion::kAlreadyReceived;
  core.on(E::kFinalAck, news, {});
  EXPECT_TRUE(core.ending().ok());
  EXPECT_EQ(core.ending().completion, wire::Completion::kAlreadyReceived);
}

TEST(SourceCore, ALinkLostAfterFinalIsOutcomeUnknown) {
  for (E event : {E::kLinkLost, E::kInterrupted}) {
    SourceCore core = core_in(S::kFinalSent);
    core.on(event, news_of(Fault::kLinkLost), {});
    EXPECT_EQ(core.state(), S::kEnded);
    EXPECT_EQ(core.ending().error.fault, Fault::kOutcomeUnknown);
  }
  SourceCore before = core_in(S::kStreaming);
  before.on(E::kLinkLost, news_of(Fault::kLinkLost), {});
  EXPECT_EQ(before.ending().error.fault, Fault::kLinkLost);
}

TEST(SourceCore, ABreachAfterFinalIsOutcomeUnknownToo) {
  SourceCore core = core_in(S::kFinalSent);
  core.on(E::kOpened, {}, {});
  EXPECT_EQ(core.ending().error.fault, Fault::kOutcomeUnknown);
  SourceCore before = core_in(S::kStreaming);
  before.on(E::kFinalAck, {}, {});
  EXPECT_EQ(before.ending().error.fault, Fault::kProtocol);
}

TEST(SourceCore, TheMarkerIsSavedBeforeFinalAndGoesWithAnAnswer) {
  SourceCore core = core_in(S::kStreaming);
  std::vector<A> actions = core.on(E::kStreamWhole, {}, {});
  auto marker = std::find(actions.begin(), actions.end(), A::kSaveMarker);
  auto final = std::find(actions.begin(), actions.end(), A::kSendFinal);
  ASSERT_NE(marker, actions.end());
  EXPECT_LT(marker, final);
  EXPECT_TRUE(has(core.on(E::kPeerAborted, news_of(Fault::kConsumerFailed), {}), A::kClearMarker));
  EXPECT_EQ(core.ending().error.fault, Fault::kConsumerFailed);
  SourceCore lost = core_in(S::kFinalSent);
  EXPECT_FALSE(has(lost.on(E::kLinkLost, {}, {}), A::kClearMarker));
}

TEST(SourceCore, CreditNeverGoesBack) {
  SourceCore core = core_in(S::kStreaming);
  SourceNews news;
  for (auto [told, expected] : {std::pair{5u, 5u}, {3u, 5u}, {9u, 9u}}) {
    news.credit = told;
    core.on(E::kAck, news, {});
    EXPECT_EQ(core.credit(), expected);
  }
}

TEST(SourceCore, AbortingAndClosingEndByTheirDeadline) {
  TimePoint now{std::chrono::seconds(100)};
  SourceCore core = core_in(S::kStreaming);
  EXPECT_EQ(core.deadline(), kNever);
  core.on(E::kInterrupted, news_of(Fault::kInterrupted), now);
  EXPECT_EQ(core.state(), S::kAborting);
  EXPECT_EQ(core.deadline(), now + std::chrono::seconds(3));
  // What comes late changes neither the deadline nor the fault.
  core.on(E::kAck, {}, now + std::chrono::seconds(1));
  EXPECT_EQ(core.deadline(), now + std::chrono::seconds(3));
  EXPECT_TRUE(has(core.on(E::kDeadline, {}, core.deadline()), A::kFinish));
  EXPECT_EQ(core.state(), S::kEnded);
  EXPECT_EQ(core.deadline(), kNever);
  EXPECT_EQ(core.ending().error.fault, Fault::kInterrupted);
  SourceCore closing = core_in(S::kClosing);
  EXPECT_NE(closing.deadline(), kNever);
  closing.on(E::kDeadline, {}, {});
  EXPECT_TRUE(closing.ending().ok());
}

// Whatever was said on a lane that is gone is said again: only that keeps a session alive that lost one.
TEST(SourceCore, ALostLaneEndsNothing) {
  int rows = 0;
  for_each_pair([&](S state, E event) {
    if (event != E::kLinkUp && event != E::kLinkBack && event != E::kLaneLost) return;
    const auto& row = SourceCore::table().row(state, event);
    ++rows;
    EXPECT_EQ(row.to, state == S::kConnecting && event == E::kLinkUp ? S::kIdentifying : state);
    bool again = state == S::kFinalSent && event != E::kLinkUp;
    EXPECT_EQ(has(row.then, A::kSendFinal), again) << SourceTraits::name(state) << " " << SourceTraits::name(event);
    EXPECT_EQ(has(row.then, A::kRaiseCredit), again || (state == S::kStreaming && event != E::kLinkUp));
    EXPECT_EQ(has(row.then, A::kSendOpen), state == S::kOpening && event == E::kLinkUp);
  });
  EXPECT_EQ(rows, 27);
}

TEST(SourceCore, AnInterruptedSourceLeavesWhatCanBeGoneOnWith) {
  for (S state : {S::kIdentifying, S::kOpening, S::kStreaming}) {
    SourceCore core = core_in(state);
    std::vector<A> actions = core.on(E::kInterrupted, news_of(Fault::kInterrupted), {});
    EXPECT_TRUE(has(actions, A::kSendLeave));
    EXPECT_FALSE(has(actions, A::kSendAbort));
    SourceCore failed = core_in(state);
    EXPECT_TRUE(has(failed.on(E::kLocalFailed, news_of(Fault::kProducerFailed), {}), A::kSendAbort));
  }
}

TEST(SourceCore, NothingIsOnTheLinkWithoutAnEndToIt) {
  // In every state but the first a link that is given up ends the session, or a deadline does.
  int ends = 0;
  for (S state : {S::kConnecting, S::kIdentifying, S::kOpening, S::kStreaming, S::kFinalSent, S::kClosing}) {
    SourceCore core = core_in(state);
    core.on(E::kLinkLost, news_of(Fault::kLinkLost), {});
    ends += core.state() == S::kEnded || core.deadline() != kNever;
  }
  EXPECT_EQ(ends, 6);
}

TEST(SourceCore, TheFirstFaultStands) {
  SourceCore core = core_in(S::kStreaming);
  core.on(E::kLocalFailed, news_of(Fault::kProducerFailed), {});
  core.on(E::kLocalFailed, news_of(Fault::kStreamDamaged), {});
  core.on(E::kLinkLost, news_of(Fault::kLinkLost), {});
  EXPECT_EQ(core.ending().error.fault, Fault::kProducerFailed);
}

TEST(SourceCore, NothingLeavesEnded) {
  int rows = 0;
  for_each_pair([&](S state, E event) {
    if (state != S::kEnded) return;
    ++rows;
    EXPECT_EQ(SourceCore::table().row(state, event).to, S::kEnded);
    EXPECT_TRUE(SourceCore::table().row(state, event).then.empty());
  });
  EXPECT_EQ(rows, 16);
}

TEST(SourceCore, WhateverEndsFinishes) {
  int ways = 0;
  for_each_pair([&](S state, E event) {
    const auto& row = SourceCore::table().row(state, event);
    if (state == S::kEnded || row.to != S::kEnded) return;
    ++ways;
    EXPECT_EQ(row.then.back(), A::kFinish) << SourceTraits::name(state) << " " << SourceTraits::name(event);
  });
  EXPECT_GT(ways, 15);
}

}  // namespace zferry::session
