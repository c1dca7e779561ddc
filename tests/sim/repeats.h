// Repeats: what a stream holds, so that some of it was there before: in itself, or in another stream of its family.
// Single-threaded.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace zferry::transfer {

class Repeats {
 public:
  // `share` of what it gives was there before. Streams of one family have pieces in common, of so many bytes at most.
  Repeats(std::uint64_t family, double share, std::size_t piece_bytes_max);
  // `bytes` that are new, or fewer that were there, some of them with a part changed. A multiple of 8, if `bytes` is.
  std::vector<std::byte> next(SeededRandom& random, std::size_t bytes);

 private:
  const double share_;
  std::vector<std::vector<std::byte>> pieces_;
};

}  // namespace zferry::transfer
