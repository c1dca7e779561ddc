// One seed's crash journey: a target with a store, whose machine, consumer and source die at drawn moments, most of all
// inside the calls of its store, on a disk that may fail or fill up. Plain values, drawn here, so that a failing seed
// can be read as text and made smaller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/sim_folder_disk.h"
#include "pipeline/settings.h"
#include "transfer_scenario.h"

namespace zferry::transfer {

enum class CrashSink { kZfs, kPlain, kFile };
enum class CrashVictim { kTarget, kSource, kConsumer, kBothEnds, kTargetAndConsumer, kLanes, kLane, kCount };

struct CrashStrike {
  CrashVictim victim = CrashVictim::kTarget;
  io::SimCrash how = io::SimCrash::kKilled;
  // The one of these that is set says when.
  std::uint64_t call = 0;                       // at this call of the store's folder,
  std::optional<io::SimFolderCallKind> kind{};  // counted among those of this kind,
  io::SimFolderCall::Moment moment = io::SimFolderCall::Moment::kBefore;
  std::string row{};         // or at this row of a state table
  std::uint64_t nth = 1;     // for the so manieth time
  std::uint64_t events = 0;  // or after so many of the journey's
  Duration later{0};
  Duration stall{0};  // lanes: silent for so long, and not cut
  unsigned lane = 0;  // which, where it is one
};

// How the stream that a simulated ZFS takes is made.
struct CrashZfs {
  int objects = 8;
  std::size_t payload_bytes = 700;
  std::uint32_t record_bytes = 4096;  // short ones stand side by side
  bool can_sync = true;
  bool raw = false, increment = false, swapped = false;
  Duration group_every{0};
  Duration sync_time{0};  // a token is seen so long before it is on disk
  Duration finish_time{0};
  Duration late_start{0};   // before a receive reads anything
  Duration import_time{0};  // after a loss of power, before the pool is there
  bool forgets = false;     // once, while the target is down, an operator gives up what a receive has kept
};

// What the stream has in common with itself and with what the store holds, and where chunks of it are looked for.
struct CrashDedup {
  pipeline::DedupScope scope = pipeline::DedupScope::kPeer;
  unsigned id_bits = 128;         // few: different chunks have one id, and proofs decide
  double repeats = 0;             // of what the stream holds
  std::size_t earlier_bytes = 0;  // about, of another stream that the store was given before; 0: there was none
  unsigned damage = 0;            // so often, to what the store has kept of it
};

struct CrashJourney {
  Scenario base;  // ends, link, stream
  CrashSink sink = CrashSink::kZfs;
  CrashZfs zfs{};
  CrashDedup dedup{};
  std::size_t lanes = 1;
  std::size_t source_pool = 8;
  std::uint64_t capacity_bytes = 0;
  std::uint64_t segment_bytes = 0;
  bool cramped = false;  // too small a capacity, perhaps
  bool end_when_lost = false;
  Duration applied_every{0};
  Duration revive_after{0};
  Duration target_delay{0};  // before each start that follows a crash
  Duration source_delay{0};
  bool piped = false;
  std::vector<CrashStrike> strikes{};
  std::vector<io::SimFolderFault> faults{};
  std::optional<std::uint64_t> disk_bytes{};  // that the store's disk has, beyond what it leaves to others

  bool has(CrashVictim victim) const;
  bool disk_trouble() const { return !faults.empty() || disk_bytes || cramped; }
  std::string text() const;
};

CrashJourney draw_crash_journey(std::uint64_t seed);
std::vector<CrashJourney> simpler(const CrashJourney& journey);
const char* name(CrashVictim victim);

}  // namespace zferry::transfer
