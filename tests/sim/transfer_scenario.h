// One seed's scenario: the stream, both ends' commands, the link between them and what goes wrong. Everything that
// differs from run to run is drawn here, so that a failing seed can be read as text. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "io/sim_fault.h"
#include "pack/pack.h"

namespace zferry::transfer {

enum class Stream { kOpaque, kEmpty, kZfs, kCompound, kDamaged, kTruncated, kMissingSnapshot, kCount };
enum class Producer { kPiped, kPipeFails, kRun, kFails, kKilled, kCannotRun, kCount };
enum class Consumer {
  kGood,
  kLeavesContent,  // exits with code 0 at some byte
  kLeavesUnhappy,
  kFailsAtEnd,
  kCannotRun,
  kSlow,
  kStalls,
  kFile,
  kFileFull,
  kCommitFails,
  kStandardOutput,
  kStandardOutputFull,
  kCount
};
enum class Trouble {
  kNone,
  kLinkCut,
  kFlip,
  kFinalAckLost,
  kDoneLost,
  kSourceCrash,
  kTargetCrash,
  kSourceInterrupted,
  kTargetInterrupted,
  kSourceState,
  kTargetState,
  kWrongKey,
  kBlocksTooLong,
  kPortTaken,
  kLinkStalls,
  kCount
};
enum class Rerun { kNone, kBoth, kOtherStream, kSourceAtOnce, kCount };

// Strikes when so many bytes arrived (links only), after so many events, or when an end is first seen in a state.
struct When {
  enum class Kind { kBytes, kEvents, kState } kind = Kind::kEvents;
  std::uint64_t number = 0;  // bytes or events
  bool source_state = false;
  std::string state{};
  bool at_once = false;  // inside the event, else a little later
};

struct Strike {
  Trouble trouble = Trouble::kNone;
  When when{};
  io::SimFault fault{};
  io::SimCrash crash = io::SimCrash::kKilled;
  unsigned variant = 0;
};

// What a rerun meets; without any, the first run's troubles are over.
struct RerunTrouble {
  std::vector<Strike> strikes{};
  bool bad_producer = false;  // the scenario's producer again
};

struct Scenario {
  std::uint64_t seed = 0;
  Stream stream = Stream::kOpaque;
  std::size_t stream_bytes = 0;  // about
  bool incompressible = false;
  Producer producer = Producer::kPiped;
  bool producer_good_at_first = false;
  unsigned producer_stops_percent = 100;
  std::size_t producer_chunk_bytes = 0;
  double producer_pause_chance = 0;
  Consumer consumer = Consumer::kGood;
  double consumer_stops_share = 0;  // of the stream; 1: after its last byte
  std::uint64_t consumer_bytes_per_second = 0;
  Duration consumer_stall{0};
  Duration consumer_exit_delay{0};
  std::size_t pipe_bytes = 0;
  bool late_workers = false;  // as threads are
  bool source_listens = false;
  bool with_secret = false;
  bool named = false;  // the session has a name
  unsigned ciphers = 0;
  pack::Mode pack = pack::Mode::kProbe;
  std::size_t block_bytes = 4096;
  std::size_t frame_bytes = 1024;
  std::size_t pool_buffers = 8;
  std::uint64_t rate_bytes_per_s = 0;
  io::SimLinkSettings link{};
  Duration linger{0};
  Duration disk_time_max{0};  // of one call of a store
  std::vector<Strike> strikes{};
  std::optional<RerunTrouble> rerun_trouble{};  // of a second run; then there is a third
  Rerun rerun = Rerun::kNone;

  std::string text() const;
};

bool has(const std::vector<Strike>& strikes, Trouble trouble);
Scenario draw_scenario(std::uint64_t seed);
const char* name(Stream stream);
const char* name(Producer producer);
const char* name(Consumer consumer);
const char* name(Trouble trouble);
const char* name(Rerun rerun);

}  // namespace zferry::transfer
