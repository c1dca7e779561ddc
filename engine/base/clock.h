// Time as the engine knows it: monotonic, in nanoseconds, from whatever host the code runs on (the simulator has its
// own).
#pragma once

#include <chrono>

namespace zferry {

using Duration = std::chrono::nanoseconds;
// A point on a host's monotonic clock; only differences mean anything.
struct TimePoint {
  Duration since_start{0};
  friend auto operator<=>(const TimePoint&, const TimePoint&) = default;
  friend TimePoint operator+(TimePoint t, Duration d) { return {t.since_start + d}; }
  friend Duration operator-(TimePoint a, TimePoint b) { return a.since_start - b.since_start; }
};
inline constexpr TimePoint kNever{Duration::max()};

inline double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace zferry
