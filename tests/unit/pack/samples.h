// Bytes of known kinds for the tests of pack/: the same on every machine.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/random.h"

namespace zferry::pack::samples {

using Blob = std::vector<std::byte>;

inline Blob random_bytes(std::size_t bytes, std::uint64_t seed = 1) {
  Blob blob(bytes);
  SeededRandom(seed).fill(blob);
  return blob;
}
inline Blob zeros(std::size_t bytes) { return Blob(bytes); }
// Words of Zipf-like frequency; packs to about a third, as prose does.
inline Blob text(std::size_t bytes, std::uint64_t seed = 7) {
  SeededRandom random(seed);
  std::vector<std::string> words(4096);
  for (std::string& word : words)
    for (std::uint64_t left = 2 + random.below(9); left > 0; --left) word += "etaoinshrdlucmfwypvbgk"[random.below(22)];
  Blob blob;
  while (blob.size() < bytes) {
    const std::string& word = words[random.below(1 + random.below(1 + random.below(words.size())))];
    for (char c : word + ' ') blob.push_back(static_cast<std::byte>(c));
  }
  blob.resize(bytes);
  return blob;
}
// `share` of the block is `filling` in runs of `run_bytes` at random places, the rest random.
inline Blob mixed(std::size_t bytes, double share, std::size_t run_bytes, const Blob& filling, std::uint64_t seed) {
  SeededRandom random(seed);
  Blob blob = random_bytes(bytes, seed + 1000);
  const std::size_t runs = bytes / run_bytes;
  std::vector<std::size_t> order(runs);
  for (std::size_t i = 0; i < runs; ++i) order[i] = i;
  for (std::size_t i = runs; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  order.resize(static_cast<std::size_t>(share * static_cast<double>(runs)));
  for (std::size_t run : order)
    std::copy_n(filling.begin() + run * run_bytes, run_bytes, blob.begin() + run * run_bytes);
  return blob;
}

}  // namespace zferry::pack::samples
