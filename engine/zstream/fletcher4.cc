#include "zstream/fletcher4.h"

namespace zferry::zstream {

namespace {

// One word after the other: what is left of four at a time.
Fletcher4 sum_words(ConstBytes bytes, bool swapped) {
  Fletcher4 sums;
  sums.words = bytes.size() / sizeof(std::uint32_t);
  const std::byte* at = bytes.data();
  for (std::uint64_t i = 0; i < sums.words; ++i, at += sizeof(std::uint32_t)) {
    std::uint32_t word;
    std::memcpy(&word, at, sizeof word);
    if (swapped) word = swap_bytes(word);
    sums.a += word;
    sums.b += sums.a;
    sums.c += sums.b;
    sums.d += sums.c;
  }
  return sums;
}

constexpr std::size_t kLanes = 4;
using Lanes = std::uint64_t __attribute__((vector_size(8 * kLanes)));
using Words = std::uint32_t __attribute__((vector_size(4 * kLanes)));

// Where the compiler can make a version for each kind of processor, and nothing stands in the way of choosing one
// before the program begins, as sanitizers do.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ZFERRY_FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define ZFERRY_FOR_EACH_PROCESSOR
#endif

// Four sums side by side, each of every fourth word.
struct Interleaved {
  std::uint64_t a[kLanes], b[kLanes], c[kLanes], d[kLanes];
};
ZFERRY_FOR_EACH_PROCESSOR
void sum_interleaved(const std::byte* at, std::size_t steps, bool swapped, Interleaved& sums) {
  Lanes a{}, b{}, c{}, d{};
  for (std::size_t i = 0; i < steps; ++i, at += sizeof(Words)) {
    Words words;
    std::memcpy(&words, at, sizeof words);
    if (swapped) words = (words >> 24) | ((words >> 8) & 0xff00) | ((words << 8) & 0xff0000) | (words << 24);
    a += __builtin_convertvector(words, Lanes);
    b += a;
    c += b;
    d += c;
  }
  std::memcpy(sums.a, &a, sizeof a);
  std::memcpy(sums.b, &b, sizeof b);
  std::memcpy(sums.c, &c, sizeof c);
  std::memcpy(sums.d, &d, sizeof d);
}

// The word that stands n steps before the end in lane j stands r = 4 n - j words before it. It counts 1, n, n (n + 1) /
// 2 and n (n + 1) (n + 2) / 6 times in its lane's sums, and as many times by r in the whole's: these are the
// differences.
Fletcher4 put_together(const Interleaved& lanes, std::uint64_t words) {
  Fletcher4 sums;
  sums.words = words;
  for (std::uint64_t j = 0; j < kLanes; ++j) {
    const std::uint64_t a = lanes.a[j], b = lanes.b[j], c = lanes.c[j], d = lanes.d[j];
    sums.a += a;
    sums.b += 4 * b - j * a;
    sums.c += 16 * c - (6 + 4 * j) * b + (j == 0 ? 0 : j * (j - 1) / 2) * a;
    sums.d += 64 * d - (48 + 16 * j) * c + (2 * j * j + 4 * j + 4) * b - (j < 3 ? 0 : 1) * a;
  }
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

Fletcher4 fletcher4(ConstBytes bytes, bool swapped) {
  const std::size_t steps = bytes.size() / sizeof(Words);
  const ConstBytes rest = bytes.subspan(steps * sizeof(Words));
  if (steps == 0) return sum_words(rest, swapped);
  Interleaved lanes;
  sum_interleaved(bytes.data(), steps, swapped, lanes);
  return append(put_together(lanes, steps * kLanes), sum_words(rest, swapped));
}

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
