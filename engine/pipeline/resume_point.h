// ResumePoint: where a later run of a source goes on in a stream of which the target has the beginning.
// docs/ARCHITECTURE.md, "Resume". Made by ReceivePipeline, followed by SendPipeline.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "seal/chain_marks.h"

namespace zferry::pipeline {

struct ResumePoint {
  static constexpr std::uint64_t kCompareOnly = ~std::uint64_t{0};  // as an offset

  std::uint64_t next_number = 0;       // of the next block
  std::uint64_t offset = 0;            // in the stream, of that block's first byte; any byte, not a leaf's first only
  std::vector<seal::ChainMark> marks;  // of what comes before: ascending, the last one at `offset` where offset > 0

  // Nothing is sent: the digest of the whole stream is all that is wanted.
  static ResumePoint compare_only() { return {0, kCompareOnly, {}}; }
  bool compares_only() const { return offset == kCompareOnly; }
  // A point that came from a peer. Errors: kProtocol, with what is wrong in it.
  Status check() const;
};

}  // namespace zferry::pipeline
