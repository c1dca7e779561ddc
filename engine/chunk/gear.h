// Gear: content-defined chunking of what is no ZFS stream: an insertion moves the bounds behind it along with the
// content. W. Xia et al., "FastCDC", USENIX ATC 2016, but for its normalised lengths: with these a bound depends on
// where the chunk began, and after a change it takes several chunks until both agree again (4.6 % crossed where 2 % was
// changed; 3.2 % without). One thread; never holds bytes.
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
  std::size_t min_, max_;
  std::uint64_t mask_;
  std::size_t length_ = 0;  // of the chunk in hand
  std::uint64_t hash_ = 0;
};

}  // namespace zferry::chunk
