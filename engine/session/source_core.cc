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
constexpr std::array kEventNames = {"lane-up",        "lane-lost",    "lane-closed",  "identified", "opened-from-start",
                                    "opened-already", "ack",          "stream-whole", "final-ack",  "peer-aborted",
                                    "peer-broke",     "local-failed", "interrupted",  "deadline"};
constexpr std::array kActionNames = {"note-fault",    "note-breach", "note-crossing", "note-unknown", "note-success",
                                     "start-input",   "stop-input",  "send-open",     "raise-credit", "start-flow",
                                     "start-compare", "save-marker", "clear-marker",  "send-final",   "send-done",
                                     "send-abort",    "close-lane",  "finish"};
static_assert(kStateNames.size() == static_cast<std::size_t>(S::kCount));
static_assert(kEventNames.size() == static_cast<std::size_t>(E::kCount));
static_assert(kActionNames.size() == static_cast<std::size_t>(A::kCount));

// How long a peer may take to hang up after an abort or DONE, once nothing of ours is on its way to it any more.
constexpr Duration kHangUpPatience = std::chrono::seconds(3);

// From here on, until FINAL is out, a failure on this side is told to the target, and one told by the target ends the
// session.
void add_ways_out(std::vector<SourceRow>& rows, S from) {
  rows.push_back({from, E::kLocalFailed, S::kAborting, {A::kNoteFault, A::kStopInput, A::kSendAbort, A::kCloseLane}});
  rows.push_back({from, E::kInterrupted, S::kAborting, {A::kNoteFault, A::kStopInput, A::kSendAbort, A::kCloseLane}});
  rows.push_back({from, E::kPeerBroke, S::kAborting, {A::kNoteFault, A::kStopInput, A::kSendAbort, A::kCloseLane}});
  rows.push_back({from, E::kPeerAborted, S::kEnded, {A::kNoteFault, A::kStopInput, A::kCloseLane, A::kFinish}});
  rows.push_back({from, E::kLaneLost, S::kEnded, {A::kNoteFault, A::kStopInput, A::kFinish}});
}

std::vector<SourceRow> make_rows() {
  std::vector<SourceRow> rows = {
      {S::kConnecting, E::kLaneUp, S::kIdentifying, {A::kStartInput}},
      {S::kConnecting, E::kLaneLost, S::kEnded, {A::kNoteFault, A::kFinish}},
      {S::kConnecting, E::kLocalFailed, S::kEnded, {A::kNoteFault, A::kFinish}},
      {S::kConnecting, E::kInterrupted, S::kEnded, {A::kNoteFault, A::kFinish}},

      {S::kIdentifying, E::kIdentified, S::kOpening, {A::kSendOpen}},

      {S::kOpening, E::kOpenedFromStart, S::kStreaming, {A::kRaiseCredit, A::kStartFlow}},
      {S::kOpening, E::kOpenedAlready, S::kComparing, {A::kStartCompare}},

      {S::kStreaming, E::kAck, S::kStreaming, {A::kRaiseCredit}},
      {S::kStreaming, E::kStreamWhole, S::kFinalSent, {A::kSaveMarker, A::kSendFinal}},

      {S::kComparing, E::kStreamWhole, S::kFinalSent, {A::kSendFinal}},

      // The target may have completed: nothing here may claim to know, but its own word.
      {S::kFinalSent, E::kAck, S::kFinalSent, {A::kRaiseCredit}},
      {S::kFinalSent, E::kFinalAck, S::kClosing, {A::kNoteSuccess, A::kClearMarker, A::kSendDone, A::kCloseLane}},
      {S::kFinalSent, E::kPeerAborted, S::kEnded, {A::kNoteFault, A::kClearMarker, A::kCloseLane, A::kFinish}},
      {S::kFinalSent, E::kLaneLost, S::kEnded, {A::kNoteUnknown, A::kFinish}},
      {S::kFinalSent, E::kInterrupted, S::kEnded, {A::kNoteUnknown, A::kCloseLane, A::kFinish}},

      {S::kClosing, E::kLaneClosed, S::kEnded, {A::kFinish}},
      {S::kClosing, E::kLaneLost, S::kEnded, {A::kFinish}},
      {S::kClosing, E::kDeadline, S::kEnded, {A::kFinish}},
  };
  for (S from : {S::kIdentifying, S::kOpening, S::kStreaming, S::kComparing}) add_ways_out(rows, from);
  rows.push_back({S::kAborting, E::kPeerAborted, S::kAborting, {A::kNoteCrossing}});
  for (E end : {E::kLaneClosed, E::kLaneLost, E::kDeadline})
    rows.push_back({S::kAborting, end, S::kEnded, {A::kFinish}});
  // What the target sent before it read our ABORT.
  for (E late : {E::kOpenedFromStart, E::kOpenedAlready, E::kAck})
    rows.push_back({S::kAborting, late, S::kAborting, {}});
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
  return event == E::kOpenedFromStart || event == E::kOpenedAlready || event == E::kAck || event == E::kFinalAck ||
         event == E::kPeerAborted || event == E::kPeerBroke;
}
SourceRow SourceTraits::breach(S state, E event) {
  if (state == S::kFinalSent) return {state, event, S::kEnded, {A::kNoteUnknown, A::kCloseLane, A::kFinish}};
  if (state == S::kClosing || state == S::kAborting) return {state, event, state, {}};
  return {state, event, S::kAborting, {A::kNoteBreach, A::kStopInput, A::kSendAbort, A::kCloseLane}};
}

const Table<SourceTraits>& SourceCore::table() {
  static const Table<SourceTraits> table;
  return table;
}

std::vector<A> SourceCore::on(E event, const SourceNews& news, TimePoint now) {
  const SourceRow& row = table().row(state_, event);
  for (A action : row.then) note(action, event, news);
  if (row.to != state_) {
    state_ = row.to;
    bool limited = state_ == S::kClosing || state_ == S::kAborting;
    deadline_ = limited ? now + kHangUpPatience : kNever;
  }
  return row.then;
}

void SourceCore::note(A action, E event, const SourceNews& news) {
  switch (action) {
    case A::kNoteFault: return ending_.note_fault(news.error);
    case A::kNoteCrossing: return ending_.note_crossing(news.error);
    case A::kNoteSuccess: return ending_.note_success(news.completion);
    case A::kNoteBreach:
      return ending_.note_fault({Fault::kProtocol,
                                 "the target sent " + std::string(SourceTraits::name(event)) + " while this end was " +
                                     std::string(SourceTraits::name(state_)),
                                 {}});
    case A::kNoteUnknown:
      return ending_.note_fault(
          {Fault::kOutcomeUnknown,
           "the whole stream was sent, but the target's answer did not arrive" +
               (news.error.what.empty() ? std::string() : " (" + news.error.what + ")"),
           "run the same commands again on both ends: a stream that arrived is recognised, not sent twice"});
    case A::kRaiseCredit: credit_ = std::max(credit_, news.credit); return;
    default: return;
  }
}

}  // namespace zferry::session
