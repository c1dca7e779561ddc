// Every enumerator that each field may hold, for decoding. Private to wire/.
#pragma once

#include <array>

#include "wire/messages.h"

namespace zferry::wire {

inline constexpr std::size_t kOfferCiphersMax = 8;
inline constexpr std::uint64_t kOffsetMax = (std::uint64_t{1} << 62) - 1;

inline constexpr std::array kRoles{Role::kSource, Role::kTarget};
inline constexpr std::array kRefusals{Fault::kNone, Fault::kBusy, Fault::kNotAllowed, Fault::kProtocol};
inline constexpr std::array kStreamKinds{StreamKind::kOpaque, StreamKind::kZfs, StreamKind::kCompound};
inline constexpr std::array kEarlierRuns{EarlierRun::kNone, EarlierRun::kOutcomeUnknown, EarlierRun::kCannotKnow};
inline constexpr std::array kOpenedHows{OpenedHow::kFromStart, OpenedHow::kAlreadyReceived, OpenedHow::kContinue};
inline constexpr std::array kEncodings{Encoding::kStored, Encoding::kZstd, Encoding::kChunks};
inline constexpr std::array kKeeps{Keep::kMemory, Keep::kStore, Keep::kStoreLost};
inline constexpr std::array kProducerExits{ProducerExit::kUnknown, ProducerExit::kSuccess};
inline constexpr std::array kCompletions{Completion::kApplied, Completion::kDelivered, Completion::kAlreadyReceived};

}  // namespace zferry::wire
