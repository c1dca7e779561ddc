// The streams of the scenarios: a function of kind, length and seed. `content_seed` changes the payload and nothing
// that tells what the stream is.
#pragma once

#include <cstdint>
#include <vector>

#include "repeats.h"
#include "transfer_scenario.h"

namespace zferry::transfer {

std::vector<std::byte> make_stream(const Scenario& scenario, std::uint64_t content_seed, Repeats* repeats = nullptr);
// The same stream up to about this share of it, other payload from there on.
std::vector<std::byte> make_changed_stream(const Scenario& scenario, std::uint64_t content_seed, double equal_share);

}  // namespace zferry::transfer
