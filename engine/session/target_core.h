// TargetCore: what the target's end of a session does, decided without I/O: (event, now) -> actions. docs/PROTOCOL.md,
// "A session". Mirror: source_core.h. The table stands in target_core.cc, its text in tests/golden/.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "session/ending.h"
#include "session/table.h"

namespace zferry::session {

enum class TargetState : std::uint8_t {
  kConnecting,  // no lane yet
  kAwaitingOpen,
  kStarting,         // OPEN came, the consumer is being started
  kReceiving,        // blocks flow; the stream's tail is withheld
  kComparing,        // it was received in an earlier run: the source reads its input for the digest only
  kDelivering,       // FINAL was right: the tail is released, the consumer finishes
  kDeliveringAlone,  // the same, and the lane is gone: the consumer's verdict stands all the same
  kLingering,        // FINAL-ACK is out, DONE is awaited
  kAborting,
  kEnded,
  kCount
};
enum class TargetEvent : std::uint8_t {
  kLaneUp,
  kLaneLost,
  kLaneClosed,
  kOpenNew,
  kOpenKnown,
  kConsumerReady,
  kProgress,
  kFinalRight,
  kFinalWrong,
  kDelivered,
  kDone,
  kPeerAborted,
  kPeerBroke,
  kLocalFailed,
  kInterrupted,
  kDeadline,
  kCount
};
enum class TargetAction : std::uint8_t {
  kNoteFault,
  kNoteBreach,
  kNoteCrossing,
  kNoteSuccess,
  kStartConsumer,
  kDropConsumer,
  kSendOpened,
  kSendOpenedAlready,
  kSendAck,
  kReleaseTail,
  kSendFinalAck,
  kForgetRecord,
  kSendAbort,
  kCloseLane,  // after what is queued went out
  kFinish,
  kCount
};

struct TargetNews {
  Error error{Fault::kNone, {}, {}};
  wire::Completion completion = wire::Completion::kDelivered;
};

struct TargetTraits {
  using State = TargetState;
  using Event = TargetEvent;
  using Action = TargetAction;
  static const std::vector<Row<State, Event, Action>>& rows();
  static std::string_view name(State state);
  static std::string_view name(Event event);
  static std::string_view name(Action action);
  static bool peers_message(Event event);
  static Row<State, Event, Action> breach(State state, Event event);
};

class TargetCore {
 public:
  explicit TargetCore(Duration linger) : linger_(linger) {}
  std::vector<TargetAction> on(TargetEvent event, const TargetNews& news, TimePoint now);
  TargetState state() const { return state_; }
  TimePoint deadline() const { return deadline_; }
  const Ending& ending() const { return ending_; }
  static const Table<TargetTraits>& table();

 private:
  void note(TargetAction action, TargetEvent event, const TargetNews& news);

  Duration linger_;
  TargetState state_ = TargetState::kConnecting;
  TimePoint deadline_ = kNever;
  Ending ending_;
};

}  // namespace zferry::session
