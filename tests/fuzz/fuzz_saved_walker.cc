// Any bytes at all as what a walker saved, and any stream behind them: the bytes are refused, or walked on from safely,
// and then what is saved again is as good. A seed, the length of the saved bytes (u32), these, the rest of the stream.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/random.h"
#include "unit/zstream/two_walkers.h"

namespace {

using zferry::ConstBytes;
using zferry::zstream::RecordWalker;
using zferry::zstream::testing::TwoWalkers;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  const ConstBytes input = std::as_bytes(std::span(data, size)).subspan(5);
  const std::size_t saved_bytes =
      std::min<std::size_t>(input.size(), zferry::load<std::uint32_t>(std::as_bytes(std::span(data, size)), 1));
  auto one = RecordWalker::restore(input.first(saved_bytes)), other = RecordWalker::restore(input.first(saved_bytes));
  if (one.ok() != other.ok()) std::abort();
  if (!one) {
    if (one.error().fault != zferry::Fault::kStoreFailed) std::abort();
    return 0;
  }
  TwoWalkers walkers{std::move(*one), std::move(*other)};
  if (walkers.one.save().empty()) std::abort();
  auto differs = walkers.restore();
  zferry::SeededRandom random(data[0]);
  const std::size_t bound = data[0] % 2 == 0 ? 40 : 5000;
  if (!differs) differs = walkers.follow(input.subspan(saved_bytes), random, bound, 0.3);
  if (differs) {
    std::fprintf(stderr, "%s\n", differs->c_str());
    std::abort();
  }
  return 0;
}
