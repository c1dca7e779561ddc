// Fletcher-4 over 32-bit words, four 64-bit sums, as ZFS computes it. Linear: the sums of a run of words can be
// appended to others.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace zferry::zstream {

struct Fletcher4 {
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  std::uint64_t words = 0;  // how many words were summed; not part of the value
  // Same value; the number of words does not count.
  bool same_value(const Fletcher4& other) const { return a == other.a && b == other.b && c == other.c && d == other.d; }
  bool is_zero() const { return (a | b | c | d) == 0; }
  bool operator==(const Fletcher4&) const = default;  // the number of words counts
};

// The sums of these bytes from zero. A tail of fewer than 4 bytes is ignored, as ZFS does.
Fletcher4 fletcher4(ConstBytes bytes, bool swapped = false);
// The sums of X followed by Y, from the sums of each: O(1).
Fletcher4 append(const Fletcher4& x, const Fletcher4& y);

}  // namespace zferry::zstream
