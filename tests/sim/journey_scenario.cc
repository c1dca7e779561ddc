#include "journey_scenario.h"

#include <algorithm>
#include <array>

#include "base/random.h"
#include "session/source_core.h"
#include "session/target_core.h"

namespace zferry::transfer {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Action = io::SimFault::Action;

constexpr std::array kBlows = {"cut-one",
                               "cut-all",
                               "part",
                               "half-open",
                               "moved",
                               "stall",
                               "flip",
                               "source-crash",
                               "target-crash",
                               "source-interrupted",
                               "target-interrupted",
                               "rival",
                               "other-stream",
                               "stranger"};
static_assert(kBlows.size() == static_cast<std::size_t>(Blow::kCount));

template <class T, std::size_t N>
T one_of(SeededRandom& random, const std::array<T, N>& list) {
  return list[random.below(N)];
}

template <class Traits>
std::string any_row(SeededRandom& random, const std::string& end) {
  const auto& rows = Traits::rows();
  const auto& row = rows[random.below(rows.size())];
  return end + " | " + std::string(Traits::name(row.from)) + " | " + std::string(Traits::name(row.on));
}

void draw_when(SeededRandom& random, const Journey& journey, JourneyStrike& strike) {
  if (random.chance(0.6)) {
    strike.events = random.below((400 + journey.base.stream_bytes / 8) >> random.below(4));
  } else {
    // What happens often happens again; most rows come once.
    bool often = random.chance(0.4);
    strike.row =
        often ? one_of(random, std::array<std::string, 3>{"source | streaming | ack", "target | receiving | progress",
                                                          "source | streaming | link-back"})
        : random.chance(0.5) ? any_row<session::SourceTraits>(random, "source")
                             : any_row<session::TargetTraits>(random, "target");
    strike.nth = 1 + (often ? random.below(40) : random.below(2));
  }
  if (random.chance(0.5)) strike.later = Duration(random.below(random.chance(0.5) ? 3'000'000 : 3'000'000'000));
}

JourneyStrike draw_strike(SeededRandom& random, const Journey& journey, Blow blow) {
  JourneyStrike strike;
  strike.blow = blow;
  draw_when(random, journey, strike);
  strike.action = one_of(random, std::array{Action::kReset, Action::kEnd, Action::kSilence});
  strike.direction = static_cast<io::SimDirection>(random.below(2));
  strike.crash = static_cast<io::SimCrash>(random.below(4));
  strike.lane = static_cast<unsigned>(random.below(16));
  strike.how_long = milliseconds(1 + random.below(blow == Blow::kStall ? 15'000 : 25'000));
  if (blow == Blow::kPart && !journey.gentle && random.chance(0.3)) strike.how_long = seconds(20 + random.below(400));
  return strike;
}

Blow draw_blow(SeededRandom& random, bool gentle) {
  auto link = static_cast<std::uint64_t>(Blow::kFlip);
  if (gentle || random.chance(0.4)) return static_cast<Blow>(random.below(link));
  return static_cast<Blow>(link + random.below(static_cast<std::uint64_t>(Blow::kCount) - link));
}

SourceShape draw_shape(SeededRandom& random, const Scenario& base, std::size_t lanes) {
  SourceShape shape;
  shape.pack = static_cast<pack::Mode>(random.below(3));
  shape.chunk_bytes =
      base.stream_bytes < 20'000 && random.chance(0.2) ? 1 + random.below(300) : 500 + random.below(30'000);
  if (random.chance(0.3)) shape.pause_chance = 0.1;
  shape.piped = random.chance(0.4);
  shape.lanes = random.chance(0.8) ? lanes : 1 + random.below(4);
  shape.delay = random.chance(0.7) ? milliseconds(random.below(4000)) : seconds(random.below(100));
  return shape;
}

void draw_base(SeededRandom& random, Scenario& base) {
  base.strikes.clear();
  base.rerun_trouble.reset();
  base.rerun = Rerun::kNone;
  base.stream = one_of(random, std::array{Stream::kOpaque, Stream::kZfs, Stream::kZfs, Stream::kCompound});
  base.stream_bytes = 1 + random.below((std::size_t{160} * 1024) >> random.below(6));
  if (base.block_bytes < 4096) base.stream_bytes /= 3;
  base.named = random.chance(0.85);
  base.consumer = one_of(random, std::array{Consumer::kGood, Consumer::kGood, Consumer::kGood, Consumer::kSlow,
                                            Consumer::kStalls, Consumer::kFile, Consumer::kStandardOutput});
  base.consumer_stall = seconds(1 + random.below(90));
  base.linger = random.chance(0.2) ? seconds(4) : seconds(60);
}

JourneyStrike at_row(SeededRandom& random, const Journey& journey, Blow blow, std::string row, std::uint64_t nth) {
  JourneyStrike strike = draw_strike(random, journey, blow);
  strike.row = std::move(row);
  strike.nth = nth;
  strike.later = random.chance(0.4) ? Duration(0) : Duration(random.below(60'000'000));
  return strike;
}

// So that much of it is still to come for many seconds.
void slow_down(SeededRandom& random, Journey& journey) {
  journey.base.consumer = Consumer::kSlow;
  journey.base.stream_bytes += 60'000;
  journey.base.consumer_bytes_per_second = journey.base.stream_bytes / (5 + random.below(40)) + 1;
}

// A run that was cut off for so long that another one went on in its place, and that then comes back.
void draw_fencing(SeededRandom& random, Journey& journey) {
  slow_down(random, journey);
  journey.base.source_listens = false;
  journey.give_up_after = minutes(5);
  journey.hold.reset();
  JourneyStrike part = at_row(random, journey, Blow::kPart, "source | streaming | ack", 1 + random.below(10));
  part.how_long = seconds(8 + random.below(40));
  JourneyStrike rival = part;
  rival.blow = Blow::kRival;
  rival.later = part.later + milliseconds(random.below(6000));
  journey.strikes = {part, rival};
}

// Others want in while a run lives.
void draw_guests(SeededRandom& random, Journey& journey) {
  slow_down(random, journey);
  journey.base.source_listens = false;
  journey.strikes.clear();
  constexpr std::array kGuests = {Blow::kRival, Blow::kOtherStream, Blow::kStranger};
  for (std::size_t i = 1 + random.below(4); i > 0; --i)
    journey.strikes.push_back(
        at_row(random, journey, one_of(random, kGuests), "target | receiving | progress", 1 + random.below(60)));
}

// A run that dies in the middle, and reruns that read something else, or cut it otherwise.
void draw_resumed(SeededRandom& random, Journey& journey) {
  journey.base.stream_bytes += 20'000;
  journey.strikes.clear();
  for (std::size_t i = 1 + random.below(5); i > 0; --i) {
    Blow blow = random.chance(0.5) ? Blow::kSourceCrash : Blow::kSourceInterrupted;
    std::uint64_t nth = 1 + random.below(12 * (1 + journey.strikes.size()));
    journey.strikes.push_back(at_row(random, journey, blow, "source | streaming | ack", nth));
  }
  for (std::size_t i = 1; i + 1 < journey.shapes.size(); ++i)
    if (random.chance(0.4)) journey.shapes[i].equal = static_cast<double>(random.below(1000)) / 1000;
}

// An answer that is lost, and trouble while the same command asks what became of it.
void draw_question(SeededRandom& random, Journey& journey) {
  constexpr std::array kFirst = {"target | delivering | delivered", "target | receiving | final-right",
                                 "source | streaming | stream-whole"};
  constexpr std::array kThen = {"source | opening | opened-already", "source | comparing | stream-whole",
                                "target | lingering | open-again", "target | waiting | open-known"};
  constexpr std::array kBlowsThen = {Blow::kCutAll,      Blow::kPart,
                                     Blow::kSourceCrash, Blow::kSourceInterrupted,
                                     Blow::kTargetCrash, Blow::kTargetInterrupted};
  Blow first = random.chance(0.7) ? Blow::kSourceCrash : Blow::kSourceInterrupted;
  journey.strikes = {at_row(random, journey, first, one_of(random, kFirst), 1)};
  for (std::size_t i = 1 + random.below(3); i > 0; --i)
    journey.strikes.push_back(at_row(random, journey, one_of(random, kBlowsThen), one_of(random, kThen), 1));
  journey.base.linger = random.chance(0.3) ? seconds(1) : seconds(60);
  if (random.chance(0.4)) journey.hold = seconds(0);
  journey.base.named = true;
  if (random.chance(0.4)) journey.base.stream = Stream::kOpaque;  // the only kind whose changes can keep its length
  if (journey.base.consumer == Consumer::kStandardOutput) journey.base.consumer = Consumer::kGood;
  for (SourceShape& shape : journey.shapes) {
    shape.fails.reset();
    shape.delay = random.chance(0.8) ? milliseconds(random.below(3000)) : seconds(70);
    bool rerun = &shape != &journey.shapes.front();
    if (rerun && random.chance(0.25)) shape.equal = 0.99;
    if (rerun && &shape != &journey.shapes.back() && random.chance(0.3)) shape.fails = 0.9;
  }
}

// What chance alone hardly brings.
void draw_plot(SeededRandom& random, Journey& journey) {
  if (journey.gentle || random.chance(0.5)) return;
  switch (random.below(8)) {
    case 0:
    case 1: return draw_fencing(random, journey);
    case 2: return draw_guests(random, journey);
    case 3:
    case 4: return draw_resumed(random, journey);
    default: return draw_question(random, journey);
  }
}

void draw_strikes(SeededRandom& random, Journey& journey) {
  std::size_t count = random.chance(0.15) ? 20 : random.below(5);
  for (std::size_t i = 0; i < count; ++i)
    journey.strikes.push_back(draw_strike(random, journey, draw_blow(random, journey.gentle)));
}

}  // namespace

Journey draw_journey(std::uint64_t seed) {
  SeededRandom random(seed * 0x9e3779b97f4a7c15 + 77);
  Journey journey;
  journey.base = draw_scenario(seed);
  draw_base(random, journey.base);
  journey.gentle = random.chance(0.45);
  if (journey.gentle) journey.base.linger = seconds(60);
  std::size_t lanes = random.chance(0.4) ? 1 : random.chance(0.85) ? 2 + random.below(4) : 6 + random.below(11);
  journey.target_lanes = random.chance(0.5) ? 0 : 1 + random.below(16);
  journey.source_pool = journey.base.pool_buffers;
  if (random.chance(0.3)) journey.source_pool = 4 + 2 * random.below(40);
  while (journey.source_pool / 2 * journey.base.block_bytes < 4096) journey.source_pool += 2;
  journey.give_up_after = one_of(random, std::array<Duration, 4>{seconds(60), minutes(5), minutes(20), hours(12)});
  if (!journey.gentle && random.chance(0.25)) journey.give_up_after = seconds(random.below(20));
  if (random.chance(0.4)) journey.hold = seconds(60 + random.below(3000));
  if (!journey.gentle && random.chance(0.25)) journey.hold = seconds(random.below(20));
  std::size_t shapes = journey.gentle ? 1 : 1 + random.below(4);
  for (std::size_t i = 0; i < shapes; ++i) {
    SourceShape shape = draw_shape(random, journey.base, lanes);
    bool last = i + 1 == shapes;
    if (!last && i > 0 && random.chance(0.15)) shape.equal = static_cast<double>(random.below(1000)) / 1000;
    if (!last && random.chance(0.1)) shape.fails = static_cast<double>(random.below(1000)) / 1000;
    journey.shapes.push_back(shape);
  }
  draw_strikes(random, journey);
  draw_plot(random, journey);
  return journey;
}

bool Journey::has(Blow blow) const {
  return std::any_of(strikes.begin(), strikes.end(), [&](const JourneyStrike& strike) { return strike.blow == blow; });
}

std::string Journey::text() const {
  auto in_seconds = [](Duration time) {
    return std::to_string(std::chrono::duration_cast<seconds>(time).count()) + " s";
  };
  std::string out = "journey " + std::to_string(base.seed) + (gentle ? " (gentle)" : "") + ": stream " +
                    name(base.stream) + " of about " + std::to_string(base.stream_bytes) + " bytes, consumer " +
                    name(base.consumer) + ", " + (base.source_listens ? "source" : "target") + " listens, " +
                    (base.with_secret ? "secret" : "keys") + (base.named ? ", named" : "") +
                    (base.late_workers ? ", late workers" : "") + ", blocks of " + std::to_string(base.block_bytes) +
                    ", pools of " + std::to_string(source_pool) + " and " + std::to_string(base.pool_buffers) +
                    ", target's lanes " + std::to_string(target_lanes) + ", gives up after " +
                    in_seconds(give_up_after) + ", hold " + (hold ? in_seconds(*hold) : "as the source needs") +
                    ", linger " + in_seconds(base.linger);
  for (const SourceShape& shape : shapes) {
    out += "\n  source: " + std::to_string(shape.lanes) + " lanes, after " + in_seconds(shape.delay) + ", pack mode " +
           std::to_string(static_cast<int>(shape.pack)) + ", chunks of " + std::to_string(shape.chunk_bytes) +
           (shape.piped ? ", piped" : ", run");
    if (shape.equal) out += ", other bytes from " + std::to_string(*shape.equal);
    if (shape.fails) out += ", producer fails at " + std::to_string(*shape.fails);
  }
  for (const JourneyStrike& strike : strikes) {
    out += std::string("\n  ") + name(strike.blow) + " action " + std::to_string(static_cast<int>(strike.action)) +
           " direction " + std::to_string(static_cast<int>(strike.direction)) + " crash " +
           std::to_string(static_cast<int>(strike.crash)) + " lane " + std::to_string(strike.lane) + " for " +
           std::to_string(std::chrono::duration_cast<milliseconds>(strike.how_long).count()) + " ms, ";
    out += strike.row.empty() ? "after " + std::to_string(strike.events) + " events"
                              : "at " + strike.row + " number " + std::to_string(strike.nth);
    out += ", " + std::to_string(std::chrono::duration_cast<milliseconds>(strike.later).count()) + " ms later";
  }
  return out;
}

const char* name(Blow blow) { return kBlows.at(static_cast<std::size_t>(blow)); }

}  // namespace zferry::transfer
