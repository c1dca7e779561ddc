// Random numbers for the protocol (the operating system's) and for the simulator (seeded). Keys never come from Seeded.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace zferry {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void fill(Bytes out) = 0;
};

// getrandom(2) by way of libsodium; thread-safe.
RandomSource& system_random();

// xoshiro256**: the same seed gives the same numbers on every machine. For simulations and tests.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed);
  void fill(Bytes out) override;
  std::uint64_t next();
  // Uniform in [0, bound); 0 for bound 0.
  std::uint64_t below(std::uint64_t bound);
  bool chance(double probability);

 private:
  std::uint64_t state_[4];
};

}  // namespace zferry
