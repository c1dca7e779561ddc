// A target with a store under the simulator: crashes of either end and of the consumer, on disks that fail, seed by
// seed. seed_player.h tells how to replay one.
#include <gtest/gtest.h>

#include <array>

#include "crash_run.h"
#include "seed_player.h"

namespace zferry::transfer {

static Played played(const CrashJourney& journey, Tally& tally, std::size_t trace_lines) {
  CrashRun run(journey, tally, trace_lines);
  Played out;
  out.broken = run.play();
  if (trace_lines != 0) out.trace = run.trace();
  return out;
}

namespace {

// What must have been put to the test, so that nothing holds for want of a case.
constexpr std::array kPromises = {
    "already received",
    "an earlier stream arrives",
    "bytes at each consumer are a prefix",
    "no key and nonce twice",
    "no more is acknowledged than was read",
    "nothing is left",
    "source's success is true",
    "target's success is true",
    "the fault fits",
    "the store keeps nothing of what is complete",
    "the store opens",
    "the stream arrives within bounded time",
    "the tail is withheld until FINAL",
    "what crosses again is bounded",
    "what is acknowledged is in order",
    "what was told to be durable survives",
    "ZFS receives it once",
    "ZFS takes what it is given",
};

constexpr std::array kChunks = {
    "answers repeated",
    "blocks asked for whole",
    "blocks sent as recipes",
    "bytes found",
    "damaged",
    "of an earlier stream, bytes found",
    "pins",
    "proofs failed",
    "recipes replayed from the store",
};

}  // namespace

TEST(Crashes, LoseNothingForEverySeed) {
  Tally tally;
  auto broken_by = [](std::uint64_t seed, Tally& counted) {
    CrashJourney journey = draw_crash_journey(seed);
    return played(journey, counted, 0).broken.empty() ? std::string() : story_of(journey);
  };
  auto story = [](std::uint64_t seed) { return story_of(draw_crash_journey(seed)); };
  if (!play_seeds(10'000, tally, broken_by, story)) return;
  for (const char* promise : kPromises)
    EXPECT_GE(tally[std::string("promise | crash: ") + promise], 20u) << "hardly put to the test: " << promise;
  for (const char* what : kChunks)
    EXPECT_GE(tally[std::string("chunks | ") + what], 20u) << "hardly put to the test: " << what;
}

}  // namespace zferry::transfer
