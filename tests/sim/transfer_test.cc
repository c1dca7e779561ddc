// The whole program under the simulator, seed by seed. ZFERRY_SIM_SEED=N plays one seed and prints its story;
// ZFERRY_SIM_SEEDS=N sets how many are played.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "journey_run.h"
#include "session/source_core.h"
#include "session/target_core.h"
#include "transfer_promises.h"

namespace zferry::transfer {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Plays it again for the story.
std::string story_of(const Scenario& scenario, std::size_t trace_lines) {
  Tally ignored;
  std::string trace;
  std::vector<std::string> broken = play(scenario, ignored, trace_lines, &trace);
  std::string out = scenario.text() + "\n" + trace;
  for (const std::string& line : broken) out += line + "\n";
  return out + "replay with ZFERRY_SIM_SEED=" + std::to_string(scenario.seed);
}

template <class Traits>
void list_rows_never_hit(const std::string& end, const Tally& tally, std::vector<std::string>& out) {
  for (const auto& row : Traits::rows()) {
    std::string text = end + " | " + std::string(Traits::name(row.from)) + " | " + std::string(Traits::name(row.on));
    auto hits = tally.find(text);
    if (hits == tally.end()) out.push_back(text);
    if (hits != tally.end() && hits->second < 10) std::cout << "rare: " << text << ": " << hits->second << "\n";
  }
}

std::vector<std::string> golden_lines() {
  std::ifstream file(ZFERRY_TEST_DATA "/golden/sim/rows-never-hit.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  return lines;
}

// What must have been put to the test, so that nothing holds for want of a case.
constexpr std::array kPromises = {
    "ends in bounded time",
    "nothing is left",
    "a prefix of the stream, in order, once",
    "the consumer is gone before its target",
    "target's success is true",
    "source's success is true",
    "a record before FINAL-ACK",
    "no success that the target does not share",
    "no success of a failed input",
    "no success without FINAL",
    "no failure of what was delivered",
    "the tail is withheld until FINAL",
    "a flip, and right bytes",
    "the endings match",
    "outcome unknown is the one exception",
    "the fault fits",
    "the fault that it must be",
    "success where nothing is wrong",
    "a state folder that fails is named",
    "a port that is taken is named",
    "blocks too long are refused",
    "a record means that it is there",
    "outcome unknown is written down",
    "the record stays for the source that does not know",
    "no marker of a known outcome",
    "a fresh transfer",
    "already received",
    "an earlier run did receive it",
    "another stream of the same identity is refused",
    "a lingering target answers",
    "the second source's success is true",
};
constexpr std::array kFaults = {"ok",           "link-lost",         "interrupted",   "crashed",
                                "not-allowed",  "protocol",          "input-failed",  "producer-failed",
                                "cannot-run",   "stream-incomplete", "output-failed", "stream-damaged",
                                "state-failed", "consumer-failed",   "unreachable",   "different-stream"};

void print(const Tally& tally) {
  for (const auto& [what, count] : tally)
    if (!what.starts_with("source |") && !what.starts_with("target |")) std::cout << what << ": " << count << "\n";
}

}  // namespace

TEST(Journey, KeepsItsPromisesForEverySeed) {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  std::uint64_t one = number_from("ZFERRY_SIM_SEED", 0);
  std::uint64_t first = one == 0 ? number_from("ZFERRY_SIM_FIRST", 1) : one;
  std::uint64_t last = one == 0 ? first + number_from("ZFERRY_SIM_SEEDS", 5000) : one + 1;
  Tally tally;
  int failures = 0;
  for (std::uint64_t seed = first; seed < last; ++seed) {
    Journey journey = draw_journey(seed);
    std::size_t trace_lines = one == 0 ? 0 : number_from("ZFERRY_SIM_TRACE", 60);
    JourneyRun run(journey, tally, trace_lines);
    std::vector<std::string> broken = run.play();
    if (one != 0) std::cout << journey.text() << "\n" << run.trace() << "\n";
    if (broken.empty()) continue;
    ADD_FAILURE() << journey.text() << "\n" << broken.front();
    if (++failures == static_cast<int>(number_from("ZFERRY_SIM_FAILURES", 5))) break;
  }
  print(tally);
  for (const auto& [what, count] : tally)
    if (count < 5) std::cout << "rare: " << what << " " << count << "\n";
}

TEST(Transfer, KeepsItsPromisesForEverySeed) {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);  // the lanes' buffers come and go with each seed
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  if (std::getenv("ZFERRY_SIM_SEED") != nullptr) {
    Scenario scenario = draw_scenario(number_from("ZFERRY_SIM_SEED", 1));
    std::cout << story_of(scenario, number_from("ZFERRY_SIM_TRACE", 40)) << "\n";
    Tally ignored;
    EXPECT_TRUE(play(scenario, ignored).empty());
    return;
  }
  constexpr std::uint64_t kSeeds = 10'000;
  constexpr int kFailuresMax = 5;
  std::uint64_t seeds = number_from("ZFERRY_SIM_SEEDS", kSeeds);
  Tally tally;
  int failures = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Scenario scenario = draw_scenario(seed);
    if (play(scenario, tally).empty()) continue;
    ADD_FAILURE() << story_of(scenario, 40);
    if (++failures == kFailuresMax) break;
  }
  print(tally);
  if (failures > 0 || seeds < kSeeds) return;
  for (const char* promise : kPromises)
    EXPECT_GE(tally[std::string("promise | ") + promise], 20u) << "hardly put to the test: " << promise;
  for (const char* fault : kFaults) {
    EXPECT_GE(tally[std::string("ending | source ") + fault], 20u) << fault;
    EXPECT_GE(tally[std::string("ending | target ") + fault], 20u) << fault;
  }
  std::vector<std::string> never;
  list_rows_never_hit<session::SourceTraits>("source", tally, never);
  list_rows_never_hit<session::TargetTraits>("target", tally, never);
  std::sort(never.begin(), never.end());
  for (const std::string& row : never) std::cout << "never hit: " << row << "\n";
  std::vector<std::string> golden = golden_lines();
  for (const std::string& row : never)
    EXPECT_TRUE(std::binary_search(golden.begin(), golden.end(), row)) << "no seed reaches this row any more: " << row;
  constexpr std::uint64_t kOften = 20;
  for (const std::string& row : golden)
    EXPECT_LT(tally[row], kOften) << "is reached now, and may go from tests/golden/sim/rows-never-hit.txt: " << row;
}

}  // namespace zferry::transfer
