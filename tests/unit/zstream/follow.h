// Follows a stream from its first byte to its last as a pipeline does: walk a piece, compute its sums, fold them, and
// finish.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>

#include "zstream/checksum_plan.h"
#include "zstream/walker.h"

namespace zferry::zstream::testing {

struct Followed {
  WalkSummary summary;
  std::optional<std::array<std::byte, 32>> identity;
  std::uint64_t compared = 0;
  std::uint64_t pieces = 0;
  std::optional<Error> walk_error;    // of walk()
  std::optional<Error> sum_error;     // of the verifier
  std::optional<Error> finish_error;  // of finish(), where nothing else failed

  bool ok() const { return !walk_error && !sum_error && !finish_error; }
  Error error() const {
    return walk_error     ? *walk_error
           : sum_error    ? *sum_error
           : finish_error ? *finish_error
                          : Error{Fault::kNone, "", ""};
  }
};

// `piece_bytes` gives the length of the next piece, at least 1.
inline Followed follow(ConstBytes stream, const std::function<std::size_t()>& piece_bytes) {
  RecordWalker walker;
  ChecksumVerifier verifier;
  Followed followed;
  while (!stream.empty() && followed.ok()) {
    const ConstBytes piece = stream.first(std::min(piece_bytes(), stream.size()));
    stream = stream.subspan(piece.size());
    ++followed.pieces;
    Result<ChecksumPlan> plan = walker.walk(piece);
    if (!plan) {
      followed.walk_error = plan.error();
    } else if (Status status = verifier.fold(*plan, compute(*plan, piece)); !status) {
      followed.sum_error = status.error();
    }
  }
  if (followed.ok()) {
    if (Status status = walker.finish(); !status) followed.finish_error = status.error();
  }
  followed.summary = walker.summary();
  followed.identity = walker.identity();
  followed.compared = verifier.compared();
  return followed;
}

inline Followed follow(ConstBytes stream, std::size_t piece_bytes) {
  return follow(stream, [=] { return piece_bytes; });
}
inline Followed follow(ConstBytes stream) { return follow(stream, std::max<std::size_t>(stream.size(), 1)); }

}  // namespace zferry::zstream::testing
