#include "seed_player.h"

#include <malloc.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

namespace zferry::transfer {
namespace {

std::uint64_t seed_in_play = 0;

// A broken assertion of the engine's has a seed, too.
void tell_seed(int) {
  std::cout << "seed " << seed_in_play << " ended in a broken assertion" << std::endl;
  std::_Exit(134);
}

void print(const Tally& tally) {
  for (const auto& [what, count] : tally)
    if (!what.starts_with("source |") && !what.starts_with("target |")) std::cout << what << ": " << count << "\n";
}

}  // namespace

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

bool play_seeds(std::uint64_t seeds_wanted, Tally& tally,
                const std::function<std::string(std::uint64_t, Tally&)>& broken_by,
                const std::function<std::string(std::uint64_t)>& story) {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);  // the lanes' buffers come and go with each seed
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  std::signal(SIGABRT, tell_seed);
  if (std::uint64_t seed = number_from("ZFERRY_SIM_SEED", 0); seed != 0) {
    seed_in_play = seed;
    std::cout << story(seed) << "\n";
    EXPECT_EQ(broken_by(seed, tally), "");
    return false;
  }
  std::uint64_t first = number_from("ZFERRY_SIM_FIRST", 1);
  std::uint64_t seeds = number_from("ZFERRY_SIM_SEEDS", seeds_wanted);
  std::uint64_t failures = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    seed_in_play = seed;
    std::string broken = broken_by(seed, tally);
    if (broken.empty()) continue;
    ADD_FAILURE() << broken << "replay with ZFERRY_SIM_SEED=" << seed;
    if (++failures == number_from("ZFERRY_SIM_FAILURES", 5)) break;
  }
  print(tally);
  return failures == 0 && seeds >= seeds_wanted;
}

}  // namespace zferry::transfer
