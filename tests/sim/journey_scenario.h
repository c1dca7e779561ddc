// One seed's journey: a source that is run until it succeeds, a target that is run while it is wanted, and the blows
// that strike lanes, network and processes meanwhile. Plain values, drawn here, so that a failing seed can be read as
// text and made smaller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transfer_scenario.h"

namespace zferry::transfer {

enum class Blow {
  kCutOne,    // one lane, by one of SimFault's actions
  kCutAll,    // all lanes at once
  kPart,      // nothing passes for a while, nor can anybody connect
  kHalfOpen,  // one end of every lane is gone, the other does not know
  kMoved,     // the dialler has another address: what there is falls silent, new connections are well
  kStall,     // one lane, for a while
  kFlip,
  kSourceCrash,
  kTargetCrash,
  kSourceInterrupted,
  kTargetInterrupted,
  kRival,        // the same command, from another host
  kOtherStream,  // the same source's, under another name
  kStranger,     // another principal's
  kCount
};

struct JourneyStrike {
  Blow blow = Blow::kCutOne;
  std::uint64_t events = 0;  // after so many of the journey's,
  std::string row{};         // or when an end first comes to this row ("source | streaming | ack")
  std::uint64_t nth = 1;     // for the so manieth time
  Duration later{0};         // 0: inside it
  io::SimFault::Action action = io::SimFault::Action::kReset;
  io::SimDirection direction = io::SimDirection::kToListener;
  io::SimCrash crash = io::SimCrash::kKilled;
  unsigned lane = 0;
  Duration how_long{0};
};

// One run of the source's command: what differs from run to run.
struct SourceShape {
  pack::Mode pack = pack::Mode::kProbe;
  std::size_t chunk_bytes = 4096;
  double pause_chance = 0;
  bool piped = false;
  std::size_t lanes = 1;
  Duration delay{0};              // before it
  std::optional<double> equal{};  // its stream is another one from this share on
  std::optional<double> fails{};  // its producer does, after this share
};

struct Journey {
  Scenario base;        // ends, link, stream, consumer
  bool gentle = false;  // only what the lanes survive: then nobody may notice anything
  std::size_t target_lanes = 0;
  std::size_t source_pool = 8;
  Duration give_up_after{0};
  std::optional<Duration> hold{};
  std::vector<SourceShape> shapes{};  // run after run; the last one again and again
  std::vector<JourneyStrike> strikes{};

  std::string text() const;
  bool has(Blow blow) const;
};

Journey draw_journey(std::uint64_t seed);
const char* name(Blow blow);

}  // namespace zferry::transfer
