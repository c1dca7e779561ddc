// SourceCore: what the source's end of a session does, decided without I/O: (event, now) -> actions. docs/PROTOCOL.md,
// "A session". It sees block numbers and lengths, never bytes. Mirror: target_core.h. The table stands in
// source_core.cc, its text in tests/golden/.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "session/ending.h"
#include "session/table.h"

namespace zferry::session {

enum class SourceState : std::uint8_t {
  kConnecting,   // nobody was met yet
  kIdentifying,  // the input has begun, its identity is not known yet
  kOpening,      // OPEN is out
  kStreaming,    // blocks flow, where there is a link
  kComparing,    // the target has it already: the input is read for its digest only
  kFinalSent,    // the target may complete from here on: the outcome is the target's to tell
  kClosing,      // FINAL-ACK came, DONE is out
  kAborting,     // ABORT or LEAVE is out
  kEnded,
  kCount
};
enum class SourceEvent : std::uint8_t {
  kLinkUp,    // a lane without a session: the first, or another after it was lost
  kLinkBack,  // a further lane of the session
  kLaneLost,  // what was said on it may be lost
  kLinkLost,  // given up
  kLinkClosed,
  kIdentified,
  kOpened,
  kOpenedAlready,
  kAck,
  kStreamWhole,
  kFinalAck,
  kPeerAborted,
  kPeerBroke,
  kLocalFailed,
  kInterrupted,
  kDeadline,
  kCount
};
enum class SourceAction : std::uint8_t {
  kNoteFault,     // the event's error becomes the ending
  kNoteBreach,    // "the target sent … out of turn" becomes the ending
  kNoteCrossing,  // the event's error, where it has the lower number
  kNoteUnknown,   // the outcome is unknown
  kNoteSuccess,
  kStartInput,
  kStopInput,
  kSendOpen,
  kRaiseCredit,  // and what may go, goes
  kStartFlow,
  kStartCompare,
  kSaveMarker,
  kClearMarker,
  kSendFinal,
  kSendDone,
  kSendAbort,
  kSendLeave,
  kCloseLink,  // after what is queued went out
  kFinish,
  kCount
};

// What came with an event; only what the event is about is set.
struct SourceNews {
  Error error{Fault::kNone, {}, {}};
  std::uint64_t credit = 0;
  bool credit_anew = false;  // from a target that was started anew: what the one before it said of credit is void
  wire::Completion completion = wire::Completion::kDelivered;
};

struct SourceTraits {
  using State = SourceState;
  using Event = SourceEvent;
  using Action = SourceAction;
  using News = SourceNews;
  static const std::vector<Row<State, Event, Action>>& rows();
  static std::string_view name(State state);
  static std::string_view name(Event event);
  static std::string_view name(Action action);
  static bool peers_message(Event event);
  static Row<State, Event, Action> breach(State state, Event event);
};

class SourceCore : public TableCore<SourceTraits> {
 public:
  SourceCore() : TableCore(SourceState::kConnecting) {}
  // Takes the event; the actions are to be done in their order, before the next event.
  std::vector<SourceAction> on(SourceEvent event, const SourceNews& news, TimePoint now);
  // Blocks numbered below this may go.
  std::uint64_t credit() const { return credit_; }
  const Ending& ending() const { return ending_; }

 private:
  void note(SourceAction action, SourceState state, SourceEvent event, const SourceNews& news);

  std::uint64_t credit_ = 0;
  Ending ending_;
};

}  // namespace zferry::session
