// The façade for looking at a stream without moving it: what it is, its records by type, whether its checksums hold.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "zstream/walker.h"

namespace zferry {

struct Inspection {
  zstream::WalkSummary summary;
  std::uint64_t checksums_verified = 0;
};

// Reads the descriptor to its end. Errors: kInputFailed, kStreamDamaged, kStreamIncomplete; `so_far` holds what was
// seen until then.
Status inspect_stream(int fd, Inspection& so_far);

}  // namespace zferry
