// Gear: content-defined chunking with normalised lengths, of what is no ZFS stream: an insertion moves the bounds
// behind it along with the content. W. Xia et al., "FastCDC", USENIX ATC 2016. One thread; never holds bytes.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "chunk/sizes.h"

namespace zferry::chunk {

class Gear {
 public:
  explicit Gear(const Sizes& sizes);
  // How many of these next bytes belong to the chunk in hand: `ends` where it ends with them, else all of them.
  std::size_t take(ConstBytes bytes, bool& ends);
  // The chunk in hand ends here, whatever its content.
  void restart();

 private:
  std::size_t min_, mean_, max_;
  std::uint64_t mask_before_mean_, mask_after_mean_;
  std::size_t length_ = 0;  // of the chunk in hand
  std::uint64_t hash_ = 0;
};

}  // namespace zferry::chunk
