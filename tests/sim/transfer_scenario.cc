#include "transfer_scenario.h"

#include <algorithm>
#include <array>

#include "base/random.h"
#include "session/source_core.h"
#include "session/target_core.h"

namespace zferry::transfer {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array kStreams = {"opaque", "empty", "zfs", "compound", "damaged", "truncated", "missing-snapshot"};
constexpr std::array kProducers = {"piped", "pipe-fails", "run", "fails", "killed", "cannot-run"};
constexpr std::array kConsumers = {"good",       "leaves-content", "leaves-unhappy", "fails-at-end",
                                   "cannot-run", "slow",           "stalls",         "file",
                                   "file-full",  "commit-fails",   "stdout",         "stdout-full"};
constexpr std::array kTroubles = {"none",
                                  "link-cut",
                                  "flip",
                                  "final-ack-lost",
                                  "done-lost",
                                  "source-crash",
                                  "target-crash",
                                  "source-interrupted",
                                  "target-interrupted",
                                  "source-state",
                                  "target-state",
                                  "wrong-key",
                                  "blocks-too-long",
                                  "port-taken",
                                  "link-stalls"};
constexpr std::array kReruns = {"none", "both", "other-stream", "source-at-once"};
static_assert(kStreams.size() == static_cast<std::size_t>(Stream::kCount));
static_assert(kProducers.size() == static_cast<std::size_t>(Producer::kCount));
static_assert(kConsumers.size() == static_cast<std::size_t>(Consumer::kCount));
static_assert(kTroubles.size() == static_cast<std::size_t>(Trouble::kCount));
static_assert(kReruns.size() == static_cast<std::size_t>(Rerun::kCount));

template <class T>
T any(SeededRandom& random) {
  return static_cast<T>(random.below(static_cast<std::uint64_t>(T::kCount)));
}
template <class T, std::size_t N>
T one_of(SeededRandom& random, const std::array<T, N>& list) {
  return list[random.below(N)];
}
// Small numbers as likely as large ones.
std::uint64_t of_any_size(SeededRandom& random, std::uint64_t most) {
  std::uint64_t bound = most >> random.below(12);
  return random.below(bound + 1);
}

When draw_when(SeededRandom& random, bool may_count_bytes, std::size_t stream_bytes) {
  When when;
  when.at_once = random.chance(0.5);
  switch (random.below(may_count_bytes ? 4 : 3)) {
    case 0:
      when.kind = When::Kind::kEvents;
      when.number = of_any_size(random, 600 + stream_bytes / 16);
      return when;
    case 3:
      when.kind = When::Kind::kBytes;
      when.number = of_any_size(random, 2000 + stream_bytes);
      return when;
    default: {
      when.kind = When::Kind::kState;
      when.source_state = random.chance(0.5);
      // Ended is left out: nothing is seen of it.
      auto source_states = static_cast<std::uint64_t>(session::SourceState::kEnded);
      auto target_states = static_cast<std::uint64_t>(session::TargetState::kEnded);
      if (when.source_state)
        when.state = session::SourceTraits::name(static_cast<session::SourceState>(random.below(source_states)));
      else
        when.state = session::TargetTraits::name(static_cast<session::TargetState>(random.below(target_states)));
      return when;
    }
  }
}

Strike draw_strike(SeededRandom& random, Trouble trouble, std::size_t stream_bytes) {
  using Action = io::SimFault::Action;
  Strike strike;
  strike.trouble = trouble;
  strike.variant = static_cast<unsigned>(random.below(4));
  bool on_link = trouble == Trouble::kLinkCut || trouble == Trouble::kFinalAckLost || trouble == Trouble::kDoneLost;
  if (on_link) strike.fault.action = one_of(random, std::array{Action::kReset, Action::kEnd, Action::kSilence});
  strike.fault.direction = static_cast<io::SimDirection>(random.below(2));
  strike.when = draw_when(random, trouble == Trouble::kLinkCut, stream_bytes);
  if (trouble == Trouble::kFlip) {
    strike.fault.action = Action::kFlip;
    strike.when.kind = When::Kind::kBytes;
    strike.when.number = of_any_size(random, 1200 + stream_bytes);
    strike.fault.bit = static_cast<unsigned>(random.below(8));
  }
  // Only where bytes are what it counts: of the run's first connection.
  if (strike.when.kind == When::Kind::kBytes) strike.fault.after_bytes = strike.when.number;
  if (trouble == Trouble::kLinkStalls) {
    strike.fault.action = Action::kStall;
    strike.fault.stall = milliseconds(1 + random.below(4000));
  }
  strike.crash = static_cast<io::SimCrash>(random.below(4));
  return strike;
}

std::vector<Strike> draw_strikes(SeededRandom& random, std::size_t stream_bytes, std::size_t count) {
  std::vector<Strike> strikes;
  while (strikes.size() < count) {
    // The lost answer leads to more states than any other trouble.
    Trouble trouble = random.chance(0.15) ? Trouble::kFinalAckLost : any<Trouble>(random);
    strikes.push_back(draw_strike(random, trouble, stream_bytes));
  }
  return strikes;
}

void draw_link(SeededRandom& random, Scenario& scenario) {
  io::SimLinkSettings& link = scenario.link;
  link.latency = random.chance(0.5) ? microseconds(100 + random.below(1000)) : milliseconds(1 + random.below(60));
  link.jitter = link.latency / (1 + random.below(4));
  link.buffer_bytes = std::size_t{4096} << random.below(5);
  link.segment_bytes_max = 1500 + random.below(16000);
  if (random.chance(0.3)) link.bytes_per_second = 100'000 + random.below(4'000'000);
  if (random.chance(0.3)) link.reset_discards_chance = 0.5;
  if (random.chance(0.5)) link.user_timeout = Duration(0);  // then nobody tells of silence but the engine
}

void draw_ends(SeededRandom& random, Scenario& scenario) {
  scenario.late_workers = random.chance(0.5);
  scenario.source_listens = random.chance(0.35);
  scenario.with_secret = random.chance(0.3);
  scenario.named = random.chance(0.7);
  scenario.ciphers = static_cast<unsigned>(random.below(4));
  scenario.pack = static_cast<pack::Mode>(random.below(3));
  scenario.block_bytes = one_of(random, std::array<std::size_t, 6>{512, 1024, 4096, 4096, 4096, 8192});
  scenario.frame_bytes = random.chance(0.7) ? 1024 : 300 + random.below(9000);
  scenario.pool_buffers = one_of(random, std::array<std::size_t, 5>{4, 6, 8, 8, 16});
  if (random.chance(0.1)) scenario.rate_bytes_per_s = 50'000 + random.below(1'000'000);
  scenario.linger = random.chance(0.3) ? seconds(4) : seconds(60);
  scenario.rerun =
      one_of(random, std::array{Rerun::kNone, Rerun::kBoth, Rerun::kBoth, Rerun::kOtherStream, Rerun::kSourceAtOnce});
  if (scenario.source_listens && scenario.rerun == Rerun::kSourceAtOnce) scenario.rerun = Rerun::kBoth;
}

void draw_children(SeededRandom& random, Scenario& scenario) {
  // Mostly at most one thing is wrong, so that what follows from it can be told.
  bool good_producer = random.chance(0.75);
  bool good_consumer = random.chance(good_producer ? 0.6 : 0.8);
  scenario.producer = good_producer ? (random.chance(0.5) ? Producer::kPiped : Producer::kRun) : any<Producer>(random);
  scenario.consumer = good_consumer
                          ? one_of(random, std::array{Consumer::kGood, Consumer::kGood, Consumer::kGood,
                                                      Consumer::kFile, Consumer::kStandardOutput, Consumer::kSlow})
                          : any<Consumer>(random);
  scenario.producer_stops_percent = one_of(random, std::array<unsigned, 5>{0, 50, 99, 100, 100});
  bool trickles = scenario.stream_bytes < 20'000 && random.chance(0.3);
  scenario.producer_chunk_bytes = trickles ? 1 + random.below(300) : 500 + random.below(30'000);
  scenario.producer_pause_chance = random.chance(0.3) ? 0.2 : 0;
  scenario.consumer_stops_share = random.chance(0.2) ? 1 : static_cast<double>(random.below(1000)) / 1000;
  scenario.consumer_bytes_per_second = 20'000 + random.below(500'000);
  if (random.chance(0.3)) scenario.consumer_exit_delay = milliseconds(random.below(4000));
  scenario.consumer_stall = seconds(5 + random.below(240));
  scenario.pipe_bytes = std::size_t{512} << random.below(8);
}

// Both ends fail as soon as they hear of each other, so that their aborts cross.
void draw_crossing(SeededRandom& random, Scenario& scenario) {
  if (random.chance(0.7)) {
    // With blocks in the way of the source's.
    scenario.strikes.clear();
    scenario.stream = random.chance(0.5) ? Stream::kOpaque : Stream::kZfs;
    scenario.stream_bytes = 3000 + random.below(40'000);
    scenario.producer = Producer::kFails;
    scenario.consumer = Consumer::kLeavesUnhappy;
    scenario.consumer_stops_share = 0.3 * scenario.consumer_stops_share;
    scenario.link.buffer_bytes = 4096;
    scenario.link.bytes_per_second = 100'000 + random.below(1'000'000);
    return;
  }
  scenario.strikes = draw_strikes(random, 0, 1);
  scenario.strikes[0].trouble = Trouble::kBlocksTooLong;
  scenario.strikes[0].fault.after_bytes.reset();
  scenario.stream = one_of(random, std::array{Stream::kEmpty, Stream::kTruncated, Stream::kZfs});
  scenario.stream_bytes = random.below(2000);
  scenario.producer = one_of(random, std::array{Producer::kPiped, Producer::kFails, Producer::kCannotRun});
}

Strike at_state(SeededRandom& random, Trouble trouble, bool source, const char* state) {
  Strike strike = draw_strike(random, trouble, 0);
  strike.fault.after_bytes.reset();
  strike.when = {.kind = When::Kind::kState, .source_state = source, .state = state, .at_once = random.chance(0.5)};
  return strike;
}

// What chance alone hardly brings: trouble in states that pass at once, a second one while ending for the first.
void draw_rare(SeededRandom& random, Scenario& scenario) {
  switch (random.below(4)) {
    case 0: scenario.strikes = {at_state(random, Trouble::kTargetInterrupted, false, "awaiting-open")}; break;
    case 1:
      scenario.strikes = {at_state(random, random.chance(0.5) ? Trouble::kTargetInterrupted : Trouble::kLinkCut, false,
                                   random.chance(0.5) ? "awaiting-open" : "starting")};
      scenario.strikes[0].when.at_once = true;
      break;
    case 2:
      scenario.strikes = {at_state(random, Trouble::kLinkCut, false, "delivering")};
      scenario.consumer = Consumer::kFailsAtEnd;
      scenario.consumer_exit_delay = seconds(20);
      break;
    default: {
      bool source = random.chance(0.5);
      Trouble first = random.chance(0.5) ? Trouble::kSourceInterrupted : Trouble::kTargetInterrupted;
      scenario.strikes = {at_state(random, first, false, "receiving"),
                          at_state(random, Trouble::kLinkCut, source, "aborting")};
      scenario.strikes[1].when.at_once = true;
      scenario.link.latency = milliseconds(30);
    }
  }
}

// An answer that is lost, and then trouble while the same commands ask what became of it: rare by chance alone.
void draw_troubled_question(SeededRandom& random, Scenario& scenario) {
  scenario.strikes = draw_strikes(random, scenario.stream_bytes, 1);
  scenario.strikes[0].trouble = Trouble::kFinalAckLost;
  scenario.strikes[0].fault.action = io::SimFault::Action::kReset;
  scenario.strikes[0].fault.after_bytes.reset();
  if (scenario.stream >= Stream::kDamaged) scenario.stream = Stream::kZfs;
  if (scenario.producer >= Producer::kRun) scenario.producer = Producer::kRun;
  if (scenario.producer == Producer::kPipeFails) scenario.producer = Producer::kPiped;
  scenario.consumer = Consumer::kGood;
  scenario.rerun = Rerun::kBoth;
  scenario.named = true;
  Strike second = draw_strike(random,
                              one_of(random, std::array{Trouble::kSourceInterrupted, Trouble::kTargetInterrupted,
                                                        Trouble::kLinkCut, Trouble::kTargetCrash}),
                              scenario.stream_bytes);
  second.fault.after_bytes.reset();
  second.when.kind = When::Kind::kState;
  second.when.source_state = random.chance(0.6);
  second.when.state = second.when.source_state && random.chance(0.4) ? "opening" : "comparing";
  scenario.rerun_trouble = RerunTrouble{{second}, false};
  // Fails while the target compares: it gives nothing more until it is read on.
  if (random.chance(0.3)) {
    scenario.rerun_trouble = RerunTrouble{{}, true};
    scenario.producer = Producer::kFails;
    scenario.producer_good_at_first = true;
    scenario.producer_stops_percent = 99;
    scenario.stream_bytes = 50'000 + random.below(50'000);
    scenario.producer_chunk_bytes = 4000;
  }
}

}  // namespace

Scenario draw_scenario(std::uint64_t seed) {
  SeededRandom random(seed * 0x9e3779b97f4a7c15 + 1);
  Scenario scenario;
  scenario.seed = seed;
  bool good_stream = random.chance(0.75);
  scenario.stream = good_stream
                        ? one_of(random, std::array{Stream::kOpaque, Stream::kZfs, Stream::kZfs, Stream::kCompound})
                        : any<Stream>(random);
  scenario.stream_bytes = of_any_size(random, 200 * 1024);
  scenario.incompressible = random.chance(0.3);
  draw_ends(random, scenario);
  if (scenario.block_bytes < 4096) scenario.stream_bytes /= 4;
  // What tells a stream's identity, a compound one's outer list most of all, must fit into half the pool, as
  // kOuterListBytesMax does in the real one.
  constexpr std::size_t kListBytes = 4096;
  while (scenario.pool_buffers / 2 * scenario.block_bytes < kListBytes) scenario.pool_buffers += 2;
  draw_children(random, scenario);
  draw_link(random, scenario);
  scenario.strikes = draw_strikes(random, scenario.stream_bytes, random.chance(0.4) ? 0 : random.chance(0.2) ? 2 : 1);
  if (random.chance(0.4))
    scenario.rerun_trouble = RerunTrouble{draw_strikes(random, scenario.stream_bytes, 1), random.chance(0.3)};
  if (random.chance(0.05)) draw_crossing(random, scenario);
  if (random.chance(0.04)) draw_rare(random, scenario);
  if (random.chance(0.08)) draw_troubled_question(random, scenario);
  return scenario;
}

bool has(const std::vector<Strike>& strikes, Trouble trouble) {
  return std::any_of(strikes.begin(), strikes.end(), [&](const Strike& strike) { return strike.trouble == trouble; });
}

std::string Scenario::text() const {
  std::string out = "seed " + std::to_string(seed) + ": stream " + name(stream) + " of about " +
                    std::to_string(stream_bytes) + " bytes, producer " + name(producer) + " (stops at " +
                    std::to_string(producer_stops_percent) + " %), consumer " + name(consumer) + " (stops at " +
                    std::to_string(consumer_stops_share) + "), " + (source_listens ? "source" : "target") +
                    " listens, " + (with_secret ? "secret" : "keys") + (named ? ", named" : "") +
                    (late_workers ? ", late workers" : "") + ", blocks of " + std::to_string(block_bytes) +
                    ", pool of " + std::to_string(pool_buffers) + ", rerun " + name(rerun);
  std::vector<Strike> all = strikes;
  if (rerun_trouble) all.insert(all.end(), rerun_trouble->strikes.begin(), rerun_trouble->strikes.end());
  if (rerun_trouble) out += rerun_trouble->bad_producer ? ", troubled, with its producer" : ", troubled";
  for (const Strike& strike : all) {
    out += std::string("\n  ") + name(strike.trouble) + " variant " + std::to_string(strike.variant) + " action " +
           std::to_string(static_cast<int>(strike.fault.action)) + " direction " +
           std::to_string(static_cast<int>(strike.fault.direction)) + ", when ";
    switch (strike.when.kind) {
      case When::Kind::kBytes: out += "bytes " + std::to_string(strike.when.number); break;
      case When::Kind::kEvents: out += "events " + std::to_string(strike.when.number); break;
      case When::Kind::kState: out += (strike.when.source_state ? "source " : "target ") + strike.when.state; break;
    }
  }
  return out;
}

const char* name(Stream stream) { return kStreams.at(static_cast<std::size_t>(stream)); }
const char* name(Producer producer) { return kProducers.at(static_cast<std::size_t>(producer)); }
const char* name(Consumer consumer) { return kConsumers.at(static_cast<std::size_t>(consumer)); }
const char* name(Trouble trouble) { return kTroubles.at(static_cast<std::size_t>(trouble)); }
const char* name(Rerun rerun) { return kReruns.at(static_cast<std::size_t>(rerun)); }

}  // namespace zferry::transfer
