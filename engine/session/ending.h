// Ending: how a session ended, as one end knows it. The first fault stands; later news do not change it, but for a
// crossing abort.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "wire/messages.h"

namespace zferry::session {

struct Ending {
  Error error{Fault::kNone, {}, {}};           // kNone: success
  std::optional<wire::Completion> completion;  // set on success

  bool decided() const { return error.fault != Fault::kNone || completion; }
  bool ok() const { return error.fault == Fault::kNone && completion; }
  void note_fault(Error what) {
    ZF_ASSERT(what.fault != Fault::kNone);
    if (!decided()) error = std::move(what);
  }
  void note_success(wire::Completion how) {
    if (!decided()) completion = how;
  }
  // Two aborts crossed: both ends know both faults and report the one of the lower number.
  void note_crossing(Error what) {
    if (what.fault != Fault::kNone && what.fault < error.fault) error = std::move(what);
  }
};

}  // namespace zferry::session
