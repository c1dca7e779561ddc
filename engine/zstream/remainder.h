// Remainder: what a consumer gets in place of a stream of which it has a part already, made of the stream as that
// passes. resuming_stream.h makes that of one snapshot, rest_of_compound.h that of many.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry::zstream {

class Remainder {
 public:
  virtual ~Remainder() = default;
  // The next bytes of the original stream, in whatever pieces; what the remainder gains by them is appended to `out`.
  // Errors: kDifferentStream, kStreamDamaged; after one it is repeated.
  virtual Status feed(ConstBytes original, std::vector<std::byte>& out) = 0;
};

}  // namespace zferry::zstream
