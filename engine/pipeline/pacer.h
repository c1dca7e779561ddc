// Pacer: the rate of --limit, which all lanes of a session share. Each is given its turn for a piece of about 10 ms, in
// the order in which they ask, so that the rate is smooth, other traffic gets through, and no lane falls behind.
// Threading: the loop's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace zferry::pipeline {

class Pacer {
 public:
  // 0: as fast as the link takes it.
  explicit Pacer(std::uint64_t bytes_per_s) : bytes_per_s_(bytes_per_s) {}
  std::uint64_t rate() const { return bytes_per_s_; }
  // From the next turn on.
  void set_rate(std::uint64_t bytes_per_s) { bytes_per_s_ = bytes_per_s; }
  // How much of `bytes` may go in one turn.
  std::size_t piece(std::size_t bytes) const {
    if (bytes_per_s_ == 0) return bytes;
    auto piece = static_cast<std::size_t>(static_cast<double>(bytes_per_s_) * seconds(kPieceTime));
    return std::min(bytes, std::max(piece, kPieceBytesMin));
  }
  // A turn for so many bytes is the caller's: how long it has to wait for it.
  Duration take(std::size_t bytes, TimePoint now) {
    if (bytes_per_s_ == 0) return Duration(0);
    // A late timer is made up for, but never by more than a piece: no bursts after a pause.
    TimePoint turn = std::max(next_, TimePoint{now.since_start - kPieceTime});
    next_ = turn +
            Duration(static_cast<std::int64_t>(1e9 * static_cast<double>(bytes) / static_cast<double>(bytes_per_s_)));
    return std::max(turn - now, Duration(0));
  }

 private:
  static constexpr Duration kPieceTime = std::chrono::milliseconds(10);
  static constexpr std::size_t kPieceBytesMin = 1400;
  std::uint64_t bytes_per_s_;
  TimePoint next_{};
};

}  // namespace zferry::pipeline
