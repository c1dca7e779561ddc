#include "session/source_core.h"

#include <algorithm>

namespace zferry::session {
namespace {

using S = SourceState;
using E = SourceEvent;
using A = SourceAction;
using SourceRow = Row<S, E, A>;

constexpr std::array kStateNames = {"connecting", "identifying", "opening",  "streaming", "comparing",
                                    "final-sent", "closing",     "aborting", "ended"};
constexpr std::array kEventNames = {"link-up",     "link-back",    "lane-lost",   "link-lost",
                                    "link-closed", "identified",   "opened",      "opened-already",
                                    "ack",         "stream-whole", "final-ack",   "peer-aborted",
                                    "peer-broke",  "local-failed", "interrupted", "deadline"};
constexpr std::array kActionNames = {"note-fault",    "note-breach", "note-crossing", "note-unknown", "note-success",
                                     "start-input",   "stop-input",  "send-open",     "raise-credit", "start-flow",
                                     "start-compare", "save-marker", "clear-marker",  "send-final",   "send-done",
                                     "send-abort",    "send-leave",  "close-link",    "finish"};
static_assert(kStateNames.size() == static_cast<std::size_t>(S::kCount));
static_assert(kEventNames.size() == static_cast<std::size_t>(E::kCount));
static_assert(kActionNames.size() == static_cast<std::size_t>(A::kCount));

// How long a peer may take to hang up after an abort or DONE, once nothing of ours is on its way to it any more.
constexpr Duration kHangUpPatience = std::chrono::seconds(3);

// From here on, until FINAL is out, a failure on this side is told to the target, and one told by the target ends the
// session. An interrupted source leaves: the same command can go on where it was.
void add_ways_out(std::vector<SourceRow>& rows, S from) {
  for (E why : {E::kLocalFailed, E::kPeerBroke})
    rows.push_back({from, why, S::kAborting, {A::kNoteFault, A::kStopInput, A::kSendAbort, A::kCloseLink}});
  rows.push_back({from, E::kInterrupted, S::kAborting, {A::kNoteFault, A::kStopInput, A::kSendLeave, A::kCloseLink}});
  rows.push_back({from, E::kPeerAborted, S::kEnded, {A::kNoteFault, A::kStopInput, A::kCloseLink, A::kFinish}});
  rows.push_back({from, E::kLinkLost, S::kEnded, {A::kNoteFault, A::kStopInput, A::kFinish}});
}

std::vector<SourceRow> make_rows() {
  std::vector<SourceRow> rows = {
      {S::kConnecting, E::kLinkUp, S::kIdentifying, {A::kStartInput}},
      {S::kConnecting, E::kLinkLost, S::kEnded, {A::kNoteFault, A::kFinish}},
      {S::kConnecting, E::kInterrupted, S::kEnded, {A::kNoteFault, A::kFinish}},

      {S::kIdentifying, E::kIdentified, S::kOpening, {A::kSendOpen}},

      {S::kOpening, E::kLinkUp, S::kOpening, {A::kSendOpen}},
      {S::kOpening, E::kOpened, S::kStreaming, {A::kRaiseCredit, A::kStartFlow}},
      {S::kOpening, E::kOpenedAlready, S::kComparing, {A::kStartCompare}},

      {S::kStreaming, E::kAck, S::kStreaming, {A::kRaiseCredit}},
      {S::kStreaming, E::kLinkBack, S::kStreaming, {A::kRaiseCredit}},
      {S::kStreaming, E::kLaneLost, S::kStreaming, {A::kRaiseCredit}},
      {S::kStreaming, E::kStreamWhole, S::kFinalSent, {A::kSaveMarker, A::kSendFinal}},

      {S::kComparing, E::kStreamWhole, S::kFinalSent, {A::kSendFinal}},

      // The target may have completed: nothing here may claim to know, but its own word. FINAL may have been on the
      // lane that is gone; it is the same however often it comes.
      {S::kFinalSent, E::kAck, S::kFinalSent, {A::kRaiseCredit}},
      {S::kFinalSent, E::kLinkBack, S::kFinalSent, {A::kRaiseCredit, A::kSendFinal}},
      {S::kFinalSent, E::kLaneLost, S::kFinalSent, {A::kRaiseCredit, A::kSendFinal}},
      {S::kFinalSent, E::kFinalAck, S::kClosing, {A::kNoteSuccess, A::kSendDone, A::kCloseLink}},
      {S::kFinalSent, E::kPeerAborted, S::kEnded, {A::kNoteFault, A::kClearMarker, A::kCloseLink, A::kFinish}},
      {S::kFinalSent, E::kLinkLost, S::kEnded, {A::kNoteUnknown, A::kFinish}},
      {S::kFinalSent, E::kInterrupted, S::kEnded, {A::kNoteUnknown, A::kCloseLink, A::kFinish}},

      // Who is killed before this end has said that it knows is told again by the next run.
      {S::kClosing, E::kLinkClosed, S::kEnded, {A::kClearMarker, A::kFinish}},
      {S::kClosing, E::kDeadline, S::kEnded, {A::kClearMarker, A::kFinish}},
  };
  for (S from : {S::kIdentifying, S::kOpening, S::kStreaming, S::kComparing}) add_ways_out(rows, from);
  rows.push_back({S::kAborting, E::kPeerAborted, S::kAborting, {A::kNoteCrossing}});
  for (E end : {E::kLinkClosed, E::kDeadline}) rows.push_back({S::kAborting, end, S::kEnded, {A::kFinish}});
  // ACKs come on every new lane, also while they tell nothing.
  for (S early : {S::kIdentifying, S::kOpening, S::kComparing}) rows.push_back({early, E::kAck, early, {}});
  // A target that dials takes a new run's lane for one of the run before, until the new one opens: it may just have
  // completed.
  for (S early : {S::kIdentifying, S::kOpening}) rows.push_back({early, E::kFinalAck, early, {}});
  return rows;
}

}  // namespace

const std::vector<SourceRow>& SourceTraits::rows() {
  static const std::vector<SourceRow> rows = make_rows();
  return rows;
}
std::string_view SourceTraits::name(S state) { return kStateNames.at(static_cast<std::size_t>(state)); }
std::string_view SourceTraits::name(E event) { return kEventNames.at(static_cast<std::size_t>(event)); }
std::string_view SourceTraits::name(A action) { return kActionNames.at(static_cast<std::size_t>(action)); }
bool SourceTraits::peers_message(E event) {
  return event == E::kOpened || event == E::kOpenedAlready || event == E::kAck || event == E::kFinalAck ||
         event == E::kPeerAborted || event == E::kPeerBroke;
}
SourceRow SourceTraits::breach(S state, E event) {
  if (state == S::kFinalSent) return {state, event, S::kEnded, {A::kNoteUnknown, A::kCloseLink, A::kFinish}};
  if (state == S::kClosing || state == S::kAborting) return {state, event, state, {}};
  return {state, event, S::kAborting, {A::kNoteBreach, A::kStopInput, A::kSendAbort, A::kCloseLink}};
}

std::vector<A> SourceCore::on(E event, const SourceNews& news, TimePoint now) {
  S before = state();
  const SourceRow& row = take(event);
  for (A action : row.then) note(action, before, event, news);
  if (row.to != before) {
    bool limited = row.to == S::kClosing || row.to == S::kAborting;
    set_deadline(limited ? now + kHangUpPatience : kNever);
  }
  return row.then;
}

void SourceCore::note(A action, S state, E event, const SourceNews& news) {
  switch (action) {
    case A::kNoteFault: return ending_.note_fault(news.error);
    case A::kNoteCrossing: return ending_.note_crossing(news.error);
    case A::kNoteSuccess: return ending_.note_success(news.completion);
    case A::kNoteBreach:
      return ending_.note_fault({Fault::kProtocol,
                                 "the target sent " + std::string(SourceTraits::name(event)) + " while this end was " +
                                     std::string(SourceTraits::name(state)),
                                 {}});
    case A::kNoteUnknown:
      return ending_.note_fault(
          {Fault::kOutcomeUnknown,
           "the whole stream was sent, but the target's answer did not arrive" +
               (news.error.what.empty() ? std::string() : " (" + news.error.what + ")"),
           "run the same commands again on both ends: a stream that arrived is recognised, not sent twice"});
    case A::kRaiseCredit: credit_ = news.credit_anew ? news.credit : std::max(credit_, news.credit); return;
    default: return;
  }
}

}  // namespace zferry::session
