// The whole program under the simulator, seed by seed. seed_player.h tells how to replay one.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>

#include "journey_run.h"
#include "seed_player.h"
#include "session/source_core.h"
#include "session/target_core.h"
#include "transfer_promises.h"

namespace zferry::transfer {

static Played played(const Scenario& scenario, Tally& tally, std::size_t trace_lines) {
  Played out;
  out.broken = play(scenario, tally, trace_lines, trace_lines == 0 ? nullptr : &out.trace);
  return out;
}
static Played played(const Journey& journey, Tally& tally, std::size_t trace_lines) {
  JourneyRun run(journey, tally, trace_lines);
  Played out;
  out.broken = run.play();
  if (trace_lines != 0) out.trace = run.trace();
  return out;
}

namespace {

// Each seed is one scenario of single runs, and one journey of many.
std::string broken_by(std::uint64_t seed, Tally& tally) {
  Scenario scenario = draw_scenario(seed);
  if (!played(scenario, tally, 0).broken.empty()) return story_of(scenario);
  Journey journey = draw_journey(seed);
  if (!played(journey, tally, 0).broken.empty()) return story_of(journey);
  return {};
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
  std::sort(lines.begin(), lines.end());
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
    "journey: a record before FINAL-ACK",
    "journey: a run that lives keeps its session",
    "journey: both ends come to an end, and the stream arrives",
    "journey: bytes at the consumer are a prefix",
    "journey: cuts end no consumer",
    "journey: cuts end no run",
    "journey: never received twice",
    "journey: no failure of what was delivered",
    "journey: no key and nonce twice",
    "journey: no more is acknowledged than was read",
    "journey: no success of a failed input",
    "journey: no success without FINAL",
    "journey: nothing is left",
    "journey: one consumer a target, whatever is cut or rerun",
    "journey: source's success is true",
    "journey: target's success is true",
    "journey: the consumer is gone before its target",
    "journey: the fault fits",
    "journey: the tail is withheld until FINAL",
    "journey: the window never exceeds the pool",
    "journey: unknown only after FINAL",
    "journey: what is acknowledged is in order",
    "journey: what is sent again is bounded",
    "journey: what the lanes survive nobody notices",
    "journey: what was already received brings no consumer",
};
constexpr std::array kFaults = {"ok",           "link-lost",         "interrupted",   "crashed",
                                "not-allowed",  "protocol",          "input-failed",  "producer-failed",
                                "cannot-run",   "stream-incomplete", "output-failed", "stream-damaged",
                                "state-failed", "consumer-failed",   "unreachable",   "different-stream"};

}  // namespace

TEST(Transfer, KeepsItsPromisesForEverySeed) {
  Tally tally;
  auto story = [](std::uint64_t seed) { return story_of(draw_scenario(seed)) + "\n" + story_of(draw_journey(seed)); };
  if (!play_seeds(10'000, tally, broken_by, story)) return;
  for (const char* promise : kPromises)
    EXPECT_GE(tally[std::string("promise | ") + promise], 20u) << "hardly put to the test: " << promise;
  for (const char* fault : kFaults) {
    EXPECT_GE(tally[std::string("ending | source ") + fault], 20u) << fault;
    EXPECT_GE(tally[std::string("ending | target ") + fault], 20u) << fault;
  }
  for (const char* fault : {"busy", "fenced", "session-gone", "outcome-unknown"})
    EXPECT_GE(tally[std::string("ending | source ") + fault], 20u) << fault;
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
