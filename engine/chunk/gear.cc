#include "chunk/gear.h"

#include <algorithm>
#include <array>
#include <bit>

namespace zferry::chunk {
namespace {

constexpr std::size_t kHashedBytes = 64;  // after so many a byte is shifted out of the hash

// Any fixed random numbers: both ends, and all versions, cut alike.
constexpr std::array<std::uint64_t, 256> make_table() {
  std::array<std::uint64_t, 256> table{};
  std::uint64_t state = 0x7a66657272790001;
  for (std::uint64_t& entry : table) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    entry = z ^ (z >> 31);
  }
  return table;
}
constexpr std::array<std::uint64_t, 256> kTable = make_table();

// The highest bits are those that depend on the most bytes.
std::uint64_t high_bits(unsigned count) { return count == 0 ? 0 : ~std::uint64_t{0} << (64 - count); }

}  // namespace

Gear::Gear(const Sizes& sizes)
    : min_(sizes.gear_min),
      max_(sizes.gear_max),
      mask_(high_bits(static_cast<unsigned>(std::countr_zero(std::bit_floor(sizes.gear_step))))) {}

void Gear::restart() {
  length_ = 0;
  hash_ = 0;
}

std::size_t Gear::take(ConstBytes bytes, bool& ends) {
  std::size_t at = 0;
  // No bound comes before the least length: only what the hash still knows of there has to be looked at.
  const std::size_t blind = min_ > kHashedBytes ? min_ - kHashedBytes : 0;
  if (length_ < blind) {
    at = std::min(blind - length_, bytes.size());
    length_ += at;
  }
  std::uint64_t hash = hash_;
  for (; length_ < min_ && at < bytes.size(); ++at, ++length_)
    hash = (hash << 1) + kTable[std::to_integer<std::size_t>(bytes[at])];
  const std::size_t begin = at;
  const std::size_t end = at + std::min(bytes.size() - at, max_ > length_ ? max_ - length_ : 0);
  bool bound = false;
  while (at < end && !bound) {
    hash = (hash << 1) + kTable[std::to_integer<std::size_t>(bytes[at++])];
    bound = (hash & mask_) == 0 && length_ + (at - begin) > min_;
  }
  length_ += at - begin;
  ends = bound || length_ >= max_;
  hash_ = hash;
  if (ends) restart();
  return at;
}

}  // namespace zferry::chunk
