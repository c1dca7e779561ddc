// Any bytes at all, walked, summed and finished: nothing may crash, and the pieces that they come in may change
// nothing. The first byte picks the pieces; the rest is the stream.
#include <cstdint>
#include <cstdlib>

#include "base/random.h"
#include "unit/zstream/follow.h"

namespace {

using zferry::ConstBytes;
using zferry::zstream::testing::follow;
using zferry::zstream::testing::Followed;

bool alike(const Followed& x, const Followed& y) {
  return x.summary.kind == y.summary.kind && x.summary.records == y.summary.records &&
         x.summary.payload_bytes == y.summary.payload_bytes && x.summary.stream_bytes == y.summary.stream_bytes &&
         x.summary.snapshots == y.summary.snapshots && x.summary.opaque_rest == y.summary.opaque_rest &&
         x.summary.opaque_from == y.summary.opaque_from && x.summary.missing_snapshots == y.summary.missing_snapshots &&
         x.identity == y.identity && x.compared == y.compared && x.error().what == y.error().what;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ConstBytes stream = std::as_bytes(std::span(data, size)).subspan(1);
  zferry::SeededRandom random(data[0]);
  const std::uint64_t bound = 1 + (data[0] % 8 == 0 ? 1 : random.below(1 + stream.size()));
  const Followed pieces = follow(stream, [&] { return 1 + random.below(bound); });
  const Followed whole = follow(stream);
  if (whole.ok() != pieces.ok()) std::abort();
  // Where a stream is damaged in its structure the walker gives up, so that a piece's sums before that place go unseen:
  // the first fault named, and how far the counts went, may differ then.
  if (whole.walk_error || whole.sum_error || pieces.walk_error || pieces.sum_error) return 0;
  if (!alike(whole, pieces)) std::abort();
  return 0;
}
