// Plays seeds one after the other, and tells the story of those that break a promise: what every test of the whole
// program under the simulator does. ZFERRY_SIM_SEED=N plays one and prints it; ZFERRY_SIM_SEEDS=N that many, from
// ZFERRY_SIM_FIRST on; ZFERRY_SIM_FAILURES=N ends after so many that failed. Single-threaded.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "shrink.h"
#include "transfer_run.h"

namespace zferry::transfer {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise);

struct Played {
  std::vector<std::string> broken;
  std::string trace;
};

// Of a scenario with text(), played by played(scenario, tally, trace_lines), and made smaller by simpler(): plays it
// again for the story, and the smallest that breaks the same promise.
template <class S>
std::string story_of(const S& scenario) {
  std::size_t trace_lines = number_from("ZFERRY_SIM_TRACE", 40);
  Tally ignored;
  std::vector<std::string> broken = played(scenario, ignored, 0).broken;
  if (broken.empty()) return scenario.text() + "\n" + played(scenario, ignored, trace_lines).trace;
  auto same = [&](const S& smaller) {
    std::vector<std::string> again = played(smaller, ignored, 0).broken;
    return !again.empty() && promise_of(again.front()) == promise_of(broken.front());
  };
  std::string out = scenario.text() + "\n";
  for (const std::string& line : broken) out += line + "\n";
  bool shrinks = number_from("ZFERRY_SIM_SHRINK", 1) != 0;
  S smallest = shrinks ? shrink<S>(scenario, same) : scenario;
  Played last = played(smallest, ignored, trace_lines);
  if (shrinks) out += "the smallest that breaks the same promise:\n" + smallest.text() + "\n";
  out += last.trace;
  for (const std::string& line : last.broken) out += line + "\n";
  return out;
}

// The seeds that the environment asks for, `seeds` where it asks for nothing. `broken_by` tells the story of one, empty
// where all holds; `stories` of one that is to be looked at. Whether all `seeds` were played and hold.
bool play_seeds(std::uint64_t seeds, Tally& tally, const std::function<std::string(std::uint64_t, Tally&)>& broken_by,
                const std::function<std::string(std::uint64_t)>& story);

}  // namespace zferry::transfer
