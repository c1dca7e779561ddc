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
  kWaiting,     // no source has opened yet
  kStarting,    // OPEN came, the consumer is being started
  kReceiving,   // blocks flow, where there is a link; the stream's tail is withheld
  kComparing,   // it was received in an earlier run: the source reads its input for the digest only
  kDelivering,  // FINAL was right: the tail is released, the consumer finishes
  kLingering,   // it is complete: FINAL-ACK is out, DONE is awaited
  kAnswering,   // ... and a later run of the source asks what became of it
  kAborting,
  kEnded,
  kCount
};
enum class TargetEvent : std::uint8_t {
  kOpenNew,
  kOpenKnown,
  kOpenAgain,  // by a later run of the same source, or by the same once more
  kLinkBack,   // a further lane of the session
  kLaneLost,   // what was said on it may be lost
  kLinkDown,   // the last one
  kLinkLost,   // given up
  kLinkClosed,
  kConsumerReady,
  kProgress,
  kFinalRight,
  kFinalWrong,
  kFinalAgain,
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
  kSendAck,    // where there is news
  kRepeatAck,  // in any case
  kReleaseTail,
  kSendFinalAck,
  kRetireRecord,
  kSendAbort,
  kCloseLink,  // after what is queued went out
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
  using News = TargetNews;
  static const std::vector<Row<State, Event, Action>>& rows();
  static std::string_view name(State state);
  static std::string_view name(Event event);
  static std::string_view name(Action action);
  static bool peers_message(Event event);
  static Row<State, Event, Action> breach(State state, Event event);
};

class TargetCore : public TableCore<TargetTraits> {
 public:
  explicit TargetCore(Duration linger) : TableCore(TargetState::kWaiting), linger_(linger) {}
  std::vector<TargetAction> on(TargetEvent event, const TargetNews& news, TimePoint now);
  const Ending& ending() const { return ending_; }

 private:
  void note(TargetAction action, TargetState state, TargetEvent event, const TargetNews& news);

  Duration linger_;
  Ending ending_;
};

}  // namespace zferry::session
