// Where the marks are: round(2^(i/2)) leaves, which bounds both their number and what is read beyond a difference.
#include "seal/chain_marks.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "base/saved.h"

namespace zferry::seal {
namespace {

constexpr std::uint32_t kSavedVersion = 1;
constexpr std::uint64_t kLeavesMax = std::uint64_t{1} << 62;
static_assert(4 + 8 + 4 + kChainMarksMax * (8 + sizeof(StreamDigest)) <= kSavedMarksBytesMax);

// The place that follows `leaves`, which is one itself. REQUIRES: leaves in 1..kLeavesMax.
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

std::vector<std::byte> ChainMarks::save() const {
  SavedWriter out(kSavedVersion);
  out.integer(std::uint64_t{leaf_bytes_}).integer(static_cast<std::uint32_t>(marks_.size()));
  for (const ChainMark& mark : marks_) out.integer(mark.stream_bytes).array(mark.digest);
  return out.take();
}

Result<ChainMarks> ChainMarks::restore(std::size_t leaf_bytes, ConstBytes saved) {
  ChainMarks marks(leaf_bytes);
  SavedReader in("a stream's marks", kSavedVersion, saved);
  in.integer<std::uint64_t>("leaf length", leaf_bytes, leaf_bytes);
  const auto count = in.integer<std::uint32_t>("count", 0, kChainMarksMax - 1);
  std::uint64_t last_leaves = 0;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    ChainMark mark;
    mark.stream_bytes = in.integer<std::uint64_t>("mark");
    mark.digest = in.array<sizeof(StreamDigest)>("digest");
    const std::uint64_t leaves = mark.stream_bytes / leaf_bytes;
    in.check("mark", mark.stream_bytes % leaf_bytes == 0 && leaves > last_leaves && leaves <= kLeavesMax);
    last_leaves = leaves;
    marks.marks_.push_back(mark);
  }
  if (Status status = in.finish(); !status) return status.take_error();
  while (marks.wanted_leaves_ <= last_leaves) marks.wanted_leaves_ = place_after(marks.wanted_leaves_);
  return marks;
}

}  // namespace zferry::seal
