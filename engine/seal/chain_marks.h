// ChainMarks: the digests of a stream so far at log-spaced leaf bounds, by which a later run of the same source shows
// that its stream is the same one. docs/ARCHITECTURE.md, "Resume". Memory grows with the logarithm of the stream; a
// stream that differs at byte n is found out before much more than 1.41 n bytes were read. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "seal/leaf.h"

namespace zferry::seal {

inline constexpr std::size_t kChainMarksMax = 96;

// The first `stream_bytes` of a stream have this digest.
struct ChainMark {
  std::uint64_t stream_bytes = 0;
  StreamDigest digest{};
  bool operator==(const ChainMark&) const = default;
};

inline constexpr std::size_t kSavedMarksBytesMax = 4 * 1024;

class ChainMarks {
 public:
  explicit ChainMarks(std::size_t leaf_bytes);
  // To be called whenever the chain moved. Marks are made after 1, 2, 3, 4, 6, 8, 11, 16, 23, 32 ... leaves; a bound
  // that the chain was not shown at is made up for at the next one.
  void note(const LeafChain& chain);
  // Ascending, fewer than kChainMarksMax: there is room for one more, of wherever the chain stands.
  const std::vector<ChainMark>& marks() const { return marks_; }

  // So that another process can go on with them; at most kSavedMarksBytesMax.
  std::vector<std::byte> save() const;
  // Errors: kStoreFailed: not what save() gave for this length of leaves.
  static Result<ChainMarks> restore(std::size_t leaf_bytes, ConstBytes saved);

 private:
  std::size_t leaf_bytes_;
  std::uint64_t wanted_leaves_ = 1;
  std::vector<ChainMark> marks_;
};

}  // namespace zferry::seal
