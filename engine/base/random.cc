#include "base/random.h"

#include <sodium.h>

namespace zferry {
namespace {

class SystemRandom final : public RandomSource {
 public:
  SystemRandom() { ZF_ASSERT(sodium_init() >= 0); }
  void fill(Bytes out) override { randombytes_buf(out.data(), out.size()); }
};

std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

RandomSource& system_random() {
  static SystemRandom source;
  return source;
}

SeededRandom::SeededRandom(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = splitmix(seed);
}

std::uint64_t SeededRandom::next() {
  std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void SeededRandom::fill(Bytes out) {
  while (!out.empty()) {
    std::uint64_t word = next();
    std::size_t count = out.size() < sizeof word ? out.size() : sizeof word;
    std::memcpy(out.data(), &word, count);
    out = out.subspan(count);
  }
}

std::uint64_t SeededRandom::below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
bool SeededRandom::chance(double probability) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability; }

}  // namespace zferry
