// The table of faults is what scripts and peers rely on: numbers, names and exit codes stand here a second time, so
// that none changes by accident.
#include "base/fault.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace zferry {
namespace {

// Written out so that the compiler demands a row for every new enumerator.
int listed_exit_code(Fault fault) {
  switch (fault) {
    case Fault::kNone: return 0;
    case Fault::kInternal: return 1;
    case Fault::kUsage: return 2;
    case Fault::kConfig: return 3;
    case Fault::kUnreachable: return 10;
    case Fault::kLinkLost: return 11;
    case Fault::kInterrupted: return 12;
    case Fault::kBusy: return 13;
    case Fault::kOutcomeUnknown: return 14;
    case Fault::kSessionGone: return 15;
    case Fault::kFenced: return 16;
    case Fault::kNotAllowed: return 20;
    case Fault::kProtocol: return 21;
    case Fault::kProducerFailed: return 30;
    case Fault::kStreamDamaged: return 31;
    case Fault::kStreamIncomplete: return 32;
    case Fault::kInputFailed: return 33;
    case Fault::kConsumerFailed: return 40;
    case Fault::kOutputFailed: return 41;
    case Fault::kCannotRun: return 42;
    case Fault::kStateFailed: return 43;
    case Fault::kStoreFull: return 44;
    case Fault::kStoreFailed: return 45;
    case Fault::kDigestMismatch: return 50;
    case Fault::kDifferentStream: return 51;
  }
  return -1;
}

TEST(Fault, EveryEnumeratorHasFactsAndACodeOfItsOwn) {
  std::set<int> exit_codes;
  std::set<std::string_view> names;
  int known = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const int listed = listed_exit_code(static_cast<Fault>(byte));
    const auto fault = fault_from_wire(static_cast<std::uint8_t>(byte));
    ASSERT_EQ(fault.has_value(), listed >= 0) << byte;
    if (!fault) continue;
    const FaultFacts& row = facts(*fault);
    EXPECT_EQ(static_cast<int>(*fault), byte);
    EXPECT_EQ(row.fault, *fault);
    EXPECT_EQ(row.exit_code, listed);
    EXPECT_LT(row.exit_code, 64);  // below what shells and sysexits use
    EXPECT_FALSE(row.meaning.empty());
    EXPECT_EQ(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), row.name.npos);
    exit_codes.insert(row.exit_code);
    names.insert(row.name);
    ++known;
  }
  EXPECT_EQ(known, 25);
  EXPECT_EQ(exit_codes.size(), 25u);
  EXPECT_EQ(names.size(), 25u);
}

TEST(Fault, OnlyTheLinkAndTheOutcomeAreRetryable) {
  std::set<std::string_view> retryable;
  for (int byte = 0; byte < 256; ++byte)
    if (auto fault = fault_from_wire(static_cast<std::uint8_t>(byte)); fault && facts(*fault).retryable)
      retryable.insert(facts(*fault).name);
  EXPECT_EQ(retryable, (std::set<std::string_view>{"unreachable", "link-lost", "interrupted", "busy", "outcome-unknown",
                                                   "session-gone"}));
}

TEST(Fault, AnUnlistedOneIsABug) { EXPECT_DEATH(facts(static_cast<Fault>(99)), "does not hold"); }

}  // namespace
}  // namespace zferry
