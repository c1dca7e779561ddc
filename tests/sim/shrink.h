// Makes a scenario that breaks a promise smaller, as long as it breaks the same one. Plain functions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "journey_scenario.h"

namespace zferry::transfer {

// Scenarios that are one step simpler, the largest steps first.
std::vector<Scenario> simpler(const Scenario& scenario);
std::vector<Journey> simpler(const Journey& journey);

// "first run: some promise: details" -> "some promise".
std::string promise_of(const std::string& broken);

// The smallest that `still_breaks` says yes to, after at most so many tries.
template <class S>
S shrink(S scenario, const std::function<bool(const S&)>& still_breaks, int tries_max = 400) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (S& next : simpler(scenario)) {
      if (tries_max-- <= 0) return scenario;
      if (!still_breaks(next)) continue;
      scenario = std::move(next);
      smaller = true;
      break;
    }
  }
  return scenario;
}

}  // namespace zferry::transfer
