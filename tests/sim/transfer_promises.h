// What must hold after each seed, whatever happened in it. Each promise counts how often it was put to the test.
#pragma once

#include <string>
#include <vector>

#include "transfer_run.h"

namespace zferry::transfer {

// Plays one seed's scenario and gives what is broken; empty: all is well. With `trace_lines`, the world's last lines go
// into `trace`.
std::vector<std::string> play(const Scenario& scenario, Tally& tally, std::size_t trace_lines = 0,
                              std::string* trace = nullptr);

}  // namespace zferry::transfer
