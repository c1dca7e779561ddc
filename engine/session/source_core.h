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
  kConnecting,   // no lane yet
  kIdentifying,  // a lane; the input has begun, its identity is not known yet
  kOpening,      // OPEN is out
  kStreaming,    // blocks flow
  kComparing,    // the target has it already: the input is read for its digest only
  kFinalSent,    // the target may complete from here on: the outcome is the target's to tell
  kClosing,      // FINAL-ACK came, DONE is out
  kAborting,     // ABORT is out
  kEnded,
  kCount
};
enum class SourceEvent : std::uint8_t {
  kLaneUp,
  kLaneLost,
  kLaneClosed,
  kIdentified,
  kOpenedFromStart,
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
  kRaiseCredit,
  kStartFlow,
  kStartCompare,
  kSaveMarker,
  kClearMarker,
  kSendFinal,
  kSendDone,
  kSendAbort,
  kCloseLane,  // after what is queued went out
  kFinish,
  kCount
};

// What came with an event; only what the event is about is set.
struct SourceNews {
  Error error{Fault::kNone, {}, {}};
  std::uint64_t credit = 0;
  wire::Completion completion = wire::Completion::kDelivered;
};

struct SourceTraits {
  using State = SourceState;
  using Event = SourceEvent;
  using Action = SourceAction;
  static const std::vector<Row<State, Event, Action>>& rows();
  static std::string_view name(State state);
  static std::string_view name(Event event);
  static std::string_view name(Action action);
  static bool peers_message(Event event);
  static Row<State, Event, Action> breach(State state, Event event);
};

class SourceCore {
 public:
  // Takes the event; the actions are to be done in their order, before the next event.
  std::vector<SourceAction> on(SourceEvent event, const SourceNews& news, TimePoint now);
  SourceState state() const { return state_; }
  // When kDeadline must come unless the state changes first; kNever for none.
  TimePoint deadline() const { return deadline_; }
  // Blocks numbered below this may go.
  std::uint64_t credit() const { return credit_; }
  const Ending& ending() const { return ending_; }
  static const Table<SourceTraits>& table();

 private:
  void note(SourceAction action, SourceEvent event, const SourceNews& news);

  SourceState state_ = SourceState::kConnecting;
  TimePoint deadline_ = kNever;
  std::uint64_t credit_ = 0;
  Ending ending_;
};

}  // namespace zferry::session
