#include "session/target_core.h"

namespace zferry::session {
namespace {

using S = TargetState;
using E = TargetEvent;
using A = TargetAction;
using TargetRow = Row<S, E, A>;

constexpr std::array kStateNames = {"waiting",   "starting",  "receiving", "comparing", "delivering",
                                    "lingering", "answering", "aborting",  "ended"};
constexpr std::array kEventNames = {"open-new",     "open-known",  "open-again",   "link-back",      "lane-lost",
                                    "link-down",    "link-lost",   "link-closed",  "consumer-ready", "progress",
                                    "final-right",  "final-wrong", "final-again",  "delivered",      "done",
                                    "peer-aborted", "peer-broke",  "local-failed", "interrupted",    "deadline"};
constexpr std::array kActionNames = {"note-fault",     "note-breach",   "note-crossing", "note-success",
                                     "start-consumer", "drop-consumer", "send-opened",   "send-opened-already",
                                     "send-ack",       "repeat-ack",    "release-tail",  "send-final-ack",
                                     "retire-record",  "send-abort",    "close-link",    "finish"};
static_assert(kStateNames.size() == static_cast<std::size_t>(S::kCount));
static_assert(kEventNames.size() == static_cast<std::size_t>(E::kCount));
static_assert(kActionNames.size() == static_cast<std::size_t>(A::kCount));

// How long the source may take to hang up after an abort, once nothing of ours is on its way to it any more.
constexpr Duration kHangUpPatience = std::chrono::seconds(3);

// Until FINAL was found right, every failure on either side means that the tail is never delivered.
void add_ways_out(std::vector<TargetRow>& rows, S from) {
  for (E why : {E::kLocalFailed, E::kInterrupted, E::kPeerBroke})
    rows.push_back({from, why, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLink}});
  rows.push_back({from, E::kPeerAborted, S::kEnded, {A::kNoteFault, A::kDropConsumer, A::kCloseLink, A::kFinish}});
  rows.push_back({from, E::kLinkLost, S::kEnded, {A::kNoteFault, A::kDropConsumer, A::kFinish}});
}

std::vector<TargetRow> make_rows() {
  std::vector<TargetRow> rows = {
      {S::kWaiting, E::kOpenNew, S::kStarting, {A::kStartConsumer}},
      {S::kWaiting, E::kOpenKnown, S::kComparing, {A::kSendOpenedAlready}},
      {S::kWaiting, E::kLinkBack, S::kStarting, {A::kStartConsumer}},  // of a session that the store has

      {S::kStarting, E::kConsumerReady, S::kReceiving, {A::kSendOpened}},
      {S::kStarting, E::kDelivered, S::kLingering, {A::kNoteSuccess, A::kSendFinalAck}},  // it was, before a crash

      {S::kReceiving, E::kDelivered, S::kLingering, {A::kNoteSuccess, A::kSendFinalAck}},
      {S::kReceiving, E::kOpenAgain, S::kReceiving, {A::kSendOpened}},
      {S::kReceiving, E::kProgress, S::kReceiving, {A::kSendAck}},
      {S::kReceiving, E::kFinalRight, S::kDelivering, {A::kReleaseTail}},
      {S::kReceiving, E::kFinalWrong, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLink}},

      {S::kComparing, E::kOpenAgain, S::kComparing, {A::kSendOpenedAlready}},
      {S::kComparing, E::kFinalRight, S::kLingering, {A::kNoteSuccess, A::kSendFinalAck}},
      {S::kComparing, E::kFinalWrong, S::kAborting, {A::kNoteFault, A::kSendAbort, A::kCloseLink}},

      // The tail is out: what the consumer says now is the truth, whatever becomes of the link, the source or the
      // operator's patience.
      {S::kDelivering, E::kDelivered, S::kLingering, {A::kNoteSuccess, A::kSendFinalAck}},
      {S::kDelivering, E::kLocalFailed, S::kAborting, {A::kNoteFault, A::kDropConsumer, A::kSendAbort, A::kCloseLink}},

      {S::kLingering, E::kFinalAgain, S::kLingering, {A::kSendFinalAck}},
      {S::kLingering, E::kOpenAgain, S::kAnswering, {A::kSendOpenedAlready}},
      {S::kLingering, E::kDone, S::kEnded, {A::kRetireRecord, A::kCloseLink, A::kFinish}},
      {S::kLingering, E::kInterrupted, S::kEnded, {A::kCloseLink, A::kFinish}},
      {S::kLingering, E::kDeadline, S::kEnded, {A::kCloseLink, A::kFinish}},

      // Whatever comes of the answer, this end's own success stands.
      {S::kAnswering, E::kOpenAgain, S::kAnswering, {A::kSendOpenedAlready}},
      {S::kAnswering, E::kFinalRight, S::kLingering, {A::kSendFinalAck}},
      {S::kAnswering, E::kFinalWrong, S::kLingering, {}},
      {S::kAnswering, E::kPeerAborted, S::kLingering, {}},
      {S::kAnswering, E::kPeerBroke, S::kLingering, {}},
      {S::kAnswering, E::kLinkDown, S::kLingering, {}},
      {S::kAnswering, E::kLinkLost, S::kLingering, {}},
      {S::kAnswering, E::kInterrupted, S::kEnded, {A::kCloseLink, A::kFinish}},
  };
  for (S from : {S::kWaiting, S::kStarting, S::kReceiving, S::kComparing}) add_ways_out(rows, from);
  // The source takes a further lane into use once it heard of what is here; and an ACK may have been on the lost one.
  for (S here : {S::kReceiving, S::kComparing, S::kDelivering, S::kLingering, S::kAnswering})
    rows.push_back({here, E::kLinkBack, here, {A::kRepeatAck}});
  rows.push_back({S::kReceiving, E::kLaneLost, S::kReceiving, {A::kRepeatAck}});
  rows.push_back({S::kAborting, E::kPeerAborted, S::kAborting, {A::kNoteCrossing}});
  for (E end : {E::kLinkClosed, E::kDeadline}) rows.push_back({S::kAborting, end, S::kEnded, {A::kFinish}});
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
  return event == E::kFinalRight || event == E::kFinalWrong || event == E::kFinalAgain || event == E::kDone ||
         event == E::kPeerAborted || event == E::kPeerBroke;
}
TargetRow TargetTraits::breach(S state, E event) {
  // After the tail went out a breach is no reason to lie about the consumer; while aborting, late messages are
  // expected.
  if (state == S::kDelivering || state == S::kLingering || state == S::kAnswering || state == S::kAborting)
    return {state, event, state, {}};
  return {state, event, S::kAborting, {A::kNoteBreach, A::kDropConsumer, A::kSendAbort, A::kCloseLink}};
}

std::vector<A> TargetCore::on(E event, const TargetNews& news, TimePoint now) {
  S before = state();
  const TargetRow& row = take(event);
  for (A action : row.then) note(action, before, event, news);
  if (row.to != before) {
    Duration limit = row.to == S::kAborting ? kHangUpPatience : linger_;
    bool limited = row.to == S::kAborting || row.to == S::kLingering;
    set_deadline(limited ? now + limit : kNever);
  }
  return row.then;
}

void TargetCore::note(A action, S state, E event, const TargetNews& news) {
  switch (action) {
    case A::kNoteFault: return ending_.note_fault(news.error);
    case A::kNoteCrossing: return ending_.note_crossing(news.error);
    case A::kNoteSuccess: return ending_.note_success(news.completion);
    case A::kNoteBreach:
      return ending_.note_fault({Fault::kProtocol,
                                 "the source sent " + std::string(TargetTraits::name(event)) + " while this end was " +
                                     std::string(TargetTraits::name(state)),
                                 {}});
    default: return;
  }
}

}  // namespace zferry::session
