// Where the marks are: round(2^(i/2)) leaves, which bounds both their number and what is read beyond a difference.
#include "seal/chain_marks.h"

#include <bit>
#include <cmath>
#include <numbers>

namespace zferry::seal {
namespace {

// The place that follows `leaves`, which is one itself. REQUIRES: leaves in 1..2^62.
std::uint64_t place_after(std::uint64_t leaves) {
  if (!std::has_single_bit(leaves)) return std::bit_ceil(leaves);
  auto between = static_cast<std::uint64_t>(std::llround(static_cast<double>(leaves) * std::numbers::sqrt2));
  return between > leaves ? between : 2 * leaves;
}

}  // namespace

ChainMarks::ChainMarks(std::size_t leaf_bytes) : leaf_bytes_(leaf_bytes) { ZF_ASSERT(leaf_bytes > 0); }

void ChainMarks::note(const LeafChain& chain) {
  const std::uint64_t bytes = chain.stream_bytes();
  const std::uint64_t leaves = bytes / leaf_bytes_;
  if (leaves < wanted_leaves_ || bytes % leaf_bytes_ != 0 || marks_.size() + 1 >= kChainMarksMax) return;
  marks_.push_back({bytes, chain.digest()});
  while (wanted_leaves_ <= leaves) wanted_leaves_ = place_after(wanted_leaves_);
}

}  // namespace zferry::seal
