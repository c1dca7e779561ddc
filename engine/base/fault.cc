#include "base/fault.h"

#include <array>

#include "base/assert.h"

namespace zferry {
namespace {

constexpr std::array kFacts = {
    FaultFacts{Fault::kNone, "ok", 0, false, "it worked"},
    FaultFacts{Fault::kInternal, "internal", 1, false, "a bug in zferry"},
    FaultFacts{Fault::kUsage, "usage", 2, false, "the command line is wrong"},
    FaultFacts{Fault::kConfig, "config", 3, false,
               "a key, allow or peers file is missing, damaged or open to others (key: read; lists: write)"},
    FaultFacts{Fault::kUnreachable, "unreachable", 10, true, "no connection could be made"},
    FaultFacts{Fault::kLinkLost, "link-lost", 11, true, "the link was cut or fell silent"},
    FaultFacts{Fault::kInterrupted, "interrupted", 12, true, "a signal ended the session"},
    FaultFacts{Fault::kBusy, "busy", 13, true, "the target is in another session"},
    FaultFacts{Fault::kOutcomeUnknown, "outcome-unknown", 14, true, "the far end may or may not have completed"},
    FaultFacts{Fault::kSessionGone, "session-gone", 15, true, "the other end no longer has this session"},
    FaultFacts{Fault::kFenced, "fenced", 16, false, "a newer run of the same stream took over"},
    FaultFacts{Fault::kNotAllowed, "not-allowed", 20, false, "the peer is not who it should be, or is not allowed"},
    FaultFacts{Fault::kProtocol, "protocol", 21, false, "the peer broke the protocol or speaks another version"},
    FaultFacts{Fault::kProducerFailed, "producer-failed", 30, false, "the producer failed"},
    FaultFacts{Fault::kStreamDamaged, "stream-damaged", 31, false, "the stream itself is damaged"},
    FaultFacts{Fault::kStreamIncomplete, "stream-incomplete", 32, false, "the input ended before the stream did"},
    FaultFacts{Fault::kInputFailed, "input-failed", 33, false, "reading the input failed"},
    FaultFacts{Fault::kConsumerFailed, "consumer-failed", 40, false, "the consumer failed"},
    FaultFacts{Fault::kOutputFailed, "output-failed", 41, false, "writing the output failed"},
    FaultFacts{Fault::kCannotRun, "cannot-run", 42, false, "a command could not be started"},
    FaultFacts{Fault::kStateFailed, "state-failed", 43, false, "the state folder cannot be read or written"},
    FaultFacts{Fault::kStoreFull, "store-full", 44, false, "the store does not hold what crash cover needs"},
    FaultFacts{Fault::kStoreFailed, "store-failed", 45, false, "the store cannot be read or written"},
    FaultFacts{Fault::kDigestMismatch, "digest-mismatch", 50, false, "the two ends computed different digests"},
    FaultFacts{Fault::kDifferentStream, "different-stream", 51, false,
               "the target has other bytes under the same identity"},
};

const FaultFacts* find(std::uint8_t byte) {
  for (const FaultFacts& row : kFacts)
    if (static_cast<std::uint8_t>(row.fault) == byte) return &row;
  return nullptr;
}

}  // namespace

const FaultFacts& facts(Fault fault) {
  const FaultFacts* row = find(static_cast<std::uint8_t>(fault));
  ZF_ASSERT(row != nullptr);
  return *row;
}

std::optional<Fault> fault_from_wire(std::uint8_t byte) {
  const FaultFacts* row = find(byte);
  return row ? std::optional(row->fault) : std::nullopt;
}

}  // namespace zferry
