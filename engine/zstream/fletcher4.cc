#include "zstream/fletcher4.h"

namespace zferry::zstream {

namespace {

template <bool kSwapped>
Fletcher4 sum(ConstBytes bytes) {
  Fletcher4 sums;
  sums.words = bytes.size() / sizeof(std::uint32_t);
  const std::byte* at = bytes.data();
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  for (std::uint64_t i = 0; i < sums.words; ++i, at += sizeof(std::uint32_t)) {
    std::uint32_t word;
    std::memcpy(&word, at, sizeof word);
    if constexpr (kSwapped) word = swap_bytes(word);
    a += word;
    b += a;
    c += b;
    d += c;
  }
  sums.a = a;
  sums.b = b;
  sums.c = c;
  sums.d = d;
  return sums;
}

// n (n + 1) / 2 modulo 2^64. What divides is taken out before anything is multiplied: after the multiplication is
// modulo 2^64 no division would be right.
std::uint64_t triangle(std::uint64_t n) { return n % 2 == 0 ? n / 2 * (n + 1) : (n + 1) / 2 * n; }

// n (n + 1) (n + 2) / 6 modulo 2^64, for the same reason factor by factor. The 2 divides n or n + 1, the 3 one of the
// three.
std::uint64_t tetrahedron(std::uint64_t n) {
  std::uint64_t x = n, y = n + 1, z = n + 2;
  (x % 2 == 0 ? x : y) /= 2;
  if (n % 3 == 0) {
    x /= 3;
  } else if (n % 3 == 2) {
    y /= 3;
  } else {
    z /= 3;
  }
  return x * y * z;
}

}  // namespace

Fletcher4 fletcher4(ConstBytes bytes, bool swapped) { return swapped ? sum<true>(bytes) : sum<false>(bytes); }

Fletcher4 append(const Fletcher4& x, const Fletcher4& y) {
  // Each of Y's n words would have added X's a to b once, to c once more for every word after it, and so on.
  const std::uint64_t n = y.words;
  const std::uint64_t n2 = triangle(n);
  const std::uint64_t n3 = tetrahedron(n);
  Fletcher4 sums;
  sums.a = x.a + y.a;
  sums.b = x.b + n * x.a + y.b;
  sums.c = x.c + n * x.b + n2 * x.a + y.c;
  sums.d = x.d + n * x.c + n2 * x.b + n3 * x.a + y.d;
  sums.words = x.words + n;
  return sums;
}

}  // namespace zferry::zstream
