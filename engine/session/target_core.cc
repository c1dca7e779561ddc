#include "session/target_core.h"

namespace zferry::session {
namespace {

using S = TargetState;
using E = TargetEvent;
using A = TargetAction;
using TargetRow = Row<S, E, A>;

constexpr std::array kStateNames = {"connecting", "awaiting-open",    "starting",  "receiving", "comparing",
                                    "delivering", "delivering-alone", "lingering", "aborting",  "ended"};
constexpr std::array kEventNames = {"lane-up",     "lane-lost",      "lane-closed", "open-new",
                                    "open-known",  "consumer-ready", "progress",    "final-right",
                                    "final-wrong", "delivered",      "done",        "peer-aborted",
                                    "peer-broke",  "local-failed",   "interrupted", "deadline"};
constexpr std::array kActionNames = {"note-fault",     "note-breach",   "note-crossing",  "note-success",
                                     "start-consumer", "drop-consumer", "send-opened",    "send-opened-already",
                                     "send-ack",       "release-tail",  "send-final-ack", "forget-record",
                                     "send-abort",     "close-lane",    "finish"};
static_assert(kStateNames.size() == static_cast<std::size_t>(S::kCount));
static_assert(kEventNames.size() == static_cast<std::size_t>(E::kCount));
static_assert(kActionNames.size() == static_cast<std::size_t>(A::kCount));

// How long the source may take to hang up after an abort, once nothing of ours is on its way to it any more.
constexpr Duration kHangUpPatience = std::chrono::seconds(3);

// Until FINAL was found right, every failure on either side means that the tail is never delivered.
void add_ways_out(std::vector<TargetRow>& rows, S from) {
  rows.push_back(
      {from, E::kLocalFailed, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLane}});
  rows.push_back(
      {from, E::kInterrupted, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLane}});
  rows.push_back({from, E::kPeerBroke, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLane}});
  rows.push_back({from, E::kPeerAborted, S::kEnded, {A::kNoteFault, A::kDropConsumer, A::kCloseLane, A::kFinish}});
  rows.push_back({from, E::kLaneLost, S::kEnded, {A::kNoteFault, A::kDropConsumer, A::kFinish}});
}

std::vector<TargetRow> make_rows() {
  std::vector<TargetRow> rows = {
      {S::kConnecting, E::kLaneUp, S::kAwaitingOpen, {}},
      {S::kConnecting, E::kLaneLost, S::kEnded, {A::kNoteFault, A::kFinish}},
      {S::kConnecting, E::kLocalFailed, S::kEnded, {A::kNoteFault, A::kFinish}},
      {S::kConnecting, E::kInterrupted, S::kEnded, {A::kNoteFault, A::kFinish}},

      {S::kAwaitingOpen, E::kOpenNew, S::kStarting, {A::kStartConsumer}},
      {S::kAwaitingOpen, E::kOpenKnown, S::kComparing, {A::kSendOpenedAlready}},

      {S::kStarting, E::kConsumerReady, S::kReceiving, {A::kSendOpened}},

      {S::kReceiving, E::kProgress, S::kReceiving, {A::kSendAck}},
      {S::kReceiving, E::kFinalRight, S::kDelivering, {A::kReleaseTail}},
      {S::kReceiving, E::kFinalWrong, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLane}},

      {S::kComparing, E::kFinalRight, S::kLingering, {A::kNoteSuccess, A::kSendFinalAck}},
      {S::kComparing, E::kFinalWrong, S::kAborting, {A::kNoteFault, A::kSendAbort, A::kCloseLane}},

      // The tail is out: what the consumer says now is the truth, whatever becomes of the lane, the source or the
      // operator's patience.
      {S::kDelivering, E::kDelivered, S::kLingering, {A::kNoteSuccess, A::kSendFinalAck}},
      {S::kDelivering, E::kLocalFailed, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLane}},
      {S::kDelivering, E::kLaneLost, S::kDeliveringAlone, {}},
      {S::kDelivering, E::kPeerAborted, S::kDeliveringAlone, {A::kCloseLane}},

      {S::kDeliveringAlone, E::kDelivered, S::kEnded, {A::kNoteSuccess, A::kFinish}},
      {S::kDeliveringAlone, E::kLocalFailed, S::kEnded, {A::kNoteFault, A::kDropConsumer, A::kFinish}},

      {S::kLingering, E::kDone, S::kEnded, {A::kForgetRecord, A::kCloseLane, A::kFinish}},
      {S::kLingering, E::kLaneLost, S::kEnded, {A::kFinish}},
      {S::kLingering, E::kPeerAborted, S::kEnded, {A::kCloseLane, A::kFinish}},
      {S::kLingering, E::kInterrupted, S::kEnded, {A::kCloseLane, A::kFinish}},
      {S::kLingering, E::kDeadline, S::kEnded, {A::kCloseLane, A::kFinish}},
  };
  for (S from : {S::kAwaitingOpen, S::kStarting, S::kReceiving, S::kComparing}) add_ways_out(rows, from);
  rows.push_back({S::kAborting, E::kPeerAborted, S::kAborting, {A::kNoteCrossing}});
  for (E end : {E::kLaneClosed, E::kLaneLost, E::kDeadline})
    rows.push_back({S::kAborting, end, S::kEnded, {A::kFinish}});
  return rows;
}

}  // namespace

const std::vector<TargetRow>& TargetTraits::rows() {
  static const std::vector<TargetRow> rows = make_rows();
  return rows;
}
std::string_view TargetTraits::name(S state) { return kStateNames.at(static_cast<std::size_t>(state)); }
std::string_view TargetTraits::name(E event) { return kEventNames.at(static_cast<std::size_t>(event)); }
std::string_view TargetTraits::name(A action) { return kActionNames.at(static_cast<std::size_t>(action)); }
bool TargetTraits::peers_message(E event) {
  return event == E::kOpenNew || event == E::kOpenKnown || event == E::kFinalRight || event == E::kFinalWrong ||
         event == E::kDone || event == E::kPeerAborted || event == E::kPeerBroke;
}
TargetRow TargetTraits::breach(S state, E event) {
  // After the tail went out a breach is no reason to lie about the consumer; while aborting, late messages are
  // expected.
  if (state == S::kDelivering) return {state, event, S::kDeliveringAlone, {A::kCloseLane}};
  if (state == S::kLingering) return {state, event, S::kEnded, {A::kCloseLane, A::kFinish}};
  if (state == S::kDeliveringAlone || state == S::kAborting) return {state, event, state, {}};
  return {state, event, S::kAborting, {A::kNoteBreach, A::kDropConsumer, A::kSendAbort, A::kCloseLane}};
}

const Table<TargetTraits>& TargetCore::table() {
  static const Table<TargetTraits> table;
  return table;
}

std::vector<A> TargetCore::on(E event, const TargetNews& news, TimePoint now) {
  const TargetRow& row = table().row(state_, event);
  for (A action : row.then) note(action, event, news);
  if (row.to != state_) {
    state_ = row.to;
    deadline_ = state_ == S::kAborting ? now + kHangUpPatience : state_ == S::kLingering ? now + linger_ : kNever;
  }
  return row.then;
}

void TargetCore::note(A action, E event, const TargetNews& news) {
  switch (action) {
    case A::kNoteFault: return ending_.note_fault(news.error);
    case A::kNoteCrossing: return ending_.note_crossing(news.error);
    case A::kNoteSuccess: return ending_.note_success(news.completion);
    case A::kNoteBreach:
      return ending_.note_fault({Fault::kProtocol,
                                 "the source sent " + std::string(TargetTraits::name(event)) + " while this end was " +
                                     std::string(TargetTraits::name(state_)),
                                 {}});
    default: return;
  }
}

}  // namespace zferry::session
