#include "crash_scenario.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "base/random.h"

namespace zferry::transfer {
namespace {

using io::SimFolderCall;
using io::SimFolderCallKind;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array kVictims = {"target", "source", "consumer", "both ends", "target and consumer", "lanes", "lane"};
static_assert(kVictims.size() == static_cast<std::size_t>(CrashVictim::kCount));
constexpr std::array kScopes = {"nothing", "itself", "its dataset", "its peer"};

template <class T, std::size_t N>
T one_of(SeededRandom& random, const std::array<T, N>& list) {
  return list[random.below(N)];
}

// Small ones are as likely as large ones.
std::uint64_t of_any_size(SeededRandom& random, std::uint64_t most) {
  return 1 + random.below((most >> random.below(7)) + 1);
}

constexpr std::array<const char*, 10> kRows = {"target | waiting | open-new",        "target | waiting | link-back",
                                               "target | starting | consumer-ready", "target | receiving | progress",
                                               "target | receiving | final-right",   "target | delivering | delivered",
                                               "target | starting | delivered",      "source | streaming | ack",
                                               "source | streaming | stream-whole",  "source | final-sent | final-ack"};

void draw_when(SeededRandom& random, CrashStrike& strike) {
  switch (random.below(10)) {
    case 0: strike.events = of_any_size(random, 20'000); break;
    case 1:
    case 2:
    case 3: {
      strike.row = one_of(random, kRows);
      bool often = strike.row.ends_with("progress") || strike.row.ends_with("ack");
      strike.nth = often ? of_any_size(random, 200) : 1 + random.below(2);
      break;
    }
    case 4:
    case 5:
    case 6: {
      constexpr std::array kKinds = {SimFolderCallKind::kSyncFile, SimFolderCallKind::kSyncFile,
                                     SimFolderCallKind::kAppend,   SimFolderCallKind::kSyncFolder,
                                     SimFolderCallKind::kRename,   SimFolderCallKind::kRemove,
                                     SimFolderCallKind::kCreate,   SimFolderCallKind::kRead};
      strike.kind = one_of(random, kKinds);
      bool many = *strike.kind == SimFolderCallKind::kSyncFile || *strike.kind == SimFolderCallKind::kAppend;
      strike.call = of_any_size(random, many ? 250 : 30);
      break;
    }
    default: strike.call = of_any_size(random, 700);
  }
  strike.moment = static_cast<SimFolderCall::Moment>(random.below(3));
  if (strike.moment == SimFolderCall::Moment::kAmid && strike.kind) strike.kind = SimFolderCallKind::kAppend;
  if (strike.moment == SimFolderCall::Moment::kAmid && !strike.kind) strike.moment = SimFolderCall::Moment::kAfter;
  if (random.chance(0.3)) strike.later = Duration(random.below(random.chance(0.5) ? 3'000'000 : 2'000'000'000));
}

CrashStrike draw_strike(SeededRandom& random, CrashVictim victim) {
  CrashStrike strike;
  strike.victim = victim;
  strike.how = one_of(random, std::array{io::SimCrash::kKilled, io::SimCrash::kReset, io::SimCrash::kSilence,
                                         io::SimCrash::kPowerLoss, io::SimCrash::kPowerLoss, io::SimCrash::kPowerLoss});
  draw_when(random, strike);
  strike.lane = static_cast<unsigned>(random.below(8));
  return strike;
}

void draw_strikes(SeededRandom& random, CrashJourney& journey) {
  std::size_t count = random.chance(0.1) ? random.below(12) : 1 + random.below(4);
  for (std::size_t i = 0; i < count; ++i) {
    CrashVictim victim = random.chance(0.6)
                             ? CrashVictim::kTarget
                             : static_cast<CrashVictim>(random.below(static_cast<std::uint64_t>(CrashVictim::kCount)));
    journey.strikes.push_back(draw_strike(random, victim));
  }
}

// Lanes that are whole and silent, while the target dies and comes back at once: what was on its way comes late.
void draw_stall(SeededRandom& random, CrashJourney& journey) {
  CrashStrike silent, deadly;
  silent.victim = CrashVictim::kLanes;
  silent.stall = milliseconds(20 + random.below(5000));
  silent.row = deadly.row = "target | receiving | progress";
  silent.nth = of_any_size(random, 200);
  deadly.nth = silent.nth + 1 + random.below(20);
  journey.strikes.push_back(silent);
  journey.strikes.push_back(deadly);
  journey.target_delay = milliseconds(1 + random.below(30));
}

// A receive that has not begun when who has given it all dies.
void draw_late_start(SeededRandom& random, CrashJourney& journey) {
  journey.zfs.late_start = milliseconds(100 + random.below(20'000));
  CrashStrike strike;
  strike.victim = random.chance(0.5) ? CrashVictim::kTargetAndConsumer : CrashVictim::kConsumer;
  strike.row = "target | receiving | final-right";
  strike.later = Duration(random.below(300'000'000));
  journey.strikes.push_back(strike);
}

void draw_zfs(SeededRandom& random, CrashJourney& journey) {
  CrashZfs& zfs = journey.zfs;
  zfs.can_sync = random.chance(0.5);
  zfs.raw = random.chance(0.3);
  zfs.increment = random.chance(0.4);
  zfs.swapped = !zfs.raw && random.chance(0.1);
  zfs.payload_bytes = std::size_t{64} << random.below(7);
  zfs.objects = 2 + static_cast<int>(random.below(1 + 60'000 / (1000 + zfs.payload_bytes)));
  zfs.group_every = random.chance(0.5) ? milliseconds(5 + random.below(300)) : milliseconds(300 + random.below(5000));
  zfs.sync_time = random.chance(0.5) ? Duration(0) : milliseconds(random.below(random.chance(0.5) ? 50 : 4000));
  zfs.finish_time = milliseconds(random.below(500));
}

void draw_sizes(SeededRandom& random, CrashJourney& journey) {
  Scenario& base = journey.base;
  base.block_bytes = one_of(random, std::array<std::size_t, 4>{512, 1024, 2048, 4096});
  base.frame_bytes = 300 + random.below(3000);
  base.pool_buffers = one_of(random, std::array<std::size_t, 4>{12, 16, 24, 40});
  while (base.pool_buffers / 2 * base.block_bytes < 4096) base.pool_buffers += 2;
  journey.source_pool = random.chance(0.5) ? base.pool_buffers : base.pool_buffers + 2 * random.below(20);
  journey.segment_bytes = base.block_bytes * (2 + random.below(12));
  // Each block costs a hundred bytes in the journal, also one of a byte or two: so small a store would be full of that.
  base.producer_chunk_bytes = std::max<std::size_t>(base.producer_chunk_bytes, 32);
  // What waits for room waits for what ZFS has: it needs some of it in the store.
  journey.capacity_bytes = 1 * limits::MiB;
  if (journey.sink == CrashSink::kZfs && base.producer_chunk_bytes >= 200 && random.chance(0.4))
    journey.capacity_bytes = base.block_bytes * (80 + random.below(200)) + 12 * limits::KiB;
  journey.cramped = random.chance(0.06);
  if (journey.cramped) journey.capacity_bytes = base.block_bytes * (20 + random.below(80));
}

// Records so short that several make an extent, which is looked for as one, and then record by record.
void draw_extents(SeededRandom& random, CrashJourney& journey) {
  CrashZfs& zfs = journey.zfs;
  zfs.record_bytes = static_cast<std::uint32_t>(journey.base.block_bytes >> (4 + random.below(2)));
  zfs.payload_bytes = zfs.record_bytes;
  zfs.objects = 2 + static_cast<int>(random.below(12));
}

void draw_dedup(CrashJourney& journey) {
  using pipeline::DedupScope;
  SeededRandom random(journey.base.seed * 0x9e3779b97f4a7c15 + 1717);
  CrashDedup& dedup = journey.dedup;
  dedup.scope = random.chance(0.7)
                    ? DedupScope::kPeer
                    : one_of(random, std::array{DedupScope::kNone, DedupScope::kSession, DedupScope::kDataset});
  if (random.chance(0.4)) dedup.id_bits = 3 + static_cast<unsigned>(random.below(6));
  if (random.chance(0.85)) dedup.repeats = 0.3 + static_cast<double>(random.below(65)) / 100;
  if (random.chance(0.4)) dedup.earlier_bytes = 1 + random.below(std::size_t{60'000} >> random.below(3));
  if (dedup.earlier_bytes > 0 && random.chance(0.35)) dedup.damage = 1 + static_cast<unsigned>(random.below(6));
  if (journey.sink == CrashSink::kZfs && random.chance(0.3)) draw_extents(random, journey);
  // What was said of chunks is lost with its lane, and the blocks on the others go on.
  if (journey.lanes == 1 || random.chance(0.5)) return;
  for (std::size_t i = 1 + random.below(4); i > 0; --i) {
    CrashStrike strike;
    strike.victim = CrashVictim::kLane;
    strike.row = random.chance(0.5) ? "target | receiving | progress" : "source | streaming | ack";
    strike.nth = of_any_size(random, 200);
    strike.lane = static_cast<unsigned>(random.below(8));
    if (random.chance(0.5)) strike.later = Duration(random.below(100'000'000));
    journey.strikes.push_back(strike);
  }
}

void draw_disk(SeededRandom& random, CrashJourney& journey) {
  if (random.chance(0.75)) return;
  if (random.chance(0.2)) {
    journey.disk_bytes = of_any_size(random, 200 * limits::KiB);
    return;
  }
  for (std::size_t i = 1 + random.below(2); i > 0; --i) {
    io::SimFolderFault fault;
    if (random.chance(0.7)) fault.kind = static_cast<SimFolderCallKind>(random.below(io::kSimFolderCallKinds));
    fault.number = of_any_size(random, fault.kind ? 150 : 500);
    fault.count = random.chance(0.7) ? 1 : 1 + random.below(20);
    fault.full = random.chance(0.5);
    journey.faults.push_back(fault);
  }
}

}  // namespace

CrashJourney draw_crash_journey(std::uint64_t seed) {
  SeededRandom random(seed * 0x9e3779b97f4a7c15 + 4242);
  CrashJourney journey;
  Scenario& base = journey.base;
  base = draw_scenario(seed);
  base.strikes.clear();
  base.stream = one_of(random, std::array{Stream::kOpaque, Stream::kZfs, Stream::kCompound});
  base.stream_bytes = 1 + random.below(std::size_t{60'000} >> random.below(4));
  base.named = true;
  base.linger = random.chance(0.3) ? seconds(4) : seconds(60);
  base.disk_time_max = random.chance(0.5) ? milliseconds(1 + random.below(10)) : milliseconds(10 + random.below(150));
  base.pipe_bytes = std::size_t{512} << random.below(5);
  journey.sink = random.chance(0.65) ? CrashSink::kZfs : random.chance(0.7) ? CrashSink::kPlain : CrashSink::kFile;
  if (journey.sink == CrashSink::kZfs) draw_zfs(random, journey);
  draw_sizes(random, journey);
  journey.lanes = random.chance(0.6) ? 1 : 2 + random.below(4);
  journey.end_when_lost = random.chance(0.3);
  journey.applied_every = milliseconds(50 + random.below(random.chance(0.5) ? 500 : 5000));
  // What a full store takes for synced has stood for twelve askings, and it is given up after a hundred that gave
  // nothing: groups of ZFS's come and end sooner.
  journey.zfs.sync_time = std::min<Duration>(journey.zfs.sync_time, 6 * journey.applied_every);
  journey.zfs.group_every = std::min<Duration>(journey.zfs.group_every, 6 * journey.applied_every);
  journey.revive_after = milliseconds(10 + random.below(500));
  journey.target_delay = random.chance(0.7) ? milliseconds(10 + random.below(3000)) : seconds(3 + random.below(40));
  journey.source_delay = random.chance(0.7) ? milliseconds(10 + random.below(3000)) : seconds(3 + random.below(40));
  journey.piped = random.chance(0.4);
  // So slow that crashes find much of it still to come.
  base.consumer_bytes_per_second = random.chance(0.7) ? 0 : 3000 + random.below(60'000);
  draw_strikes(random, journey);
  draw_disk(random, journey);
  draw_dedup(journey);
  if (random.chance(0.15)) draw_stall(random, journey);
  if (journey.sink != CrashSink::kZfs) return journey;
  if (random.chance(0.1)) draw_late_start(random, journey);
  if (random.chance(0.3)) journey.zfs.import_time = Duration(random.below(20 * journey.revive_after.count()));
  journey.zfs.forgets = random.chance(0.1);
  return journey;
}

bool CrashJourney::has(CrashVictim victim) const {
  return std::any_of(strikes.begin(), strikes.end(),
                     [&](const CrashStrike& strike) { return strike.victim == victim; });
}

namespace {

std::string in_ms(Duration time) {
  return std::to_string(std::chrono::duration_cast<milliseconds>(time).count()) + " ms";
}

std::string text_of(const CrashStrike& strike) {
  constexpr std::array kHow = {"killed", "reset", "silence", "power loss"};
  constexpr std::array kMoments = {"before", "amid", "after"};
  std::string out =
      std::string("\n  ") + name(strike.victim) + ": " + kHow.at(static_cast<std::size_t>(strike.how)) + " ";
  if (strike.call != 0) {
    out += kMoments.at(static_cast<std::size_t>(strike.moment));
    out += " call " + std::to_string(strike.call) + " of " + (strike.kind ? name_of(*strike.kind) : "any kind");
  } else if (!strike.row.empty()) {
    out += "at " + strike.row + " number " + std::to_string(strike.nth);
  } else {
    out += "after " + std::to_string(strike.events) + " events";
  }
  if (strike.stall > Duration(0)) out += ", stalled for " + in_ms(strike.stall);
  return out + (strike.later > Duration(0) ? ", " + in_ms(strike.later) + " later" : "");
}

}  // namespace

std::string CrashJourney::text() const {
  constexpr std::array kSinks = {"ZFS", "a command", "a file"};
  std::string out =
      "crash journey " + std::to_string(base.seed) + ": into " + kSinks.at(static_cast<std::size_t>(sink));
  if (sink == CrashSink::kZfs) {
    out += std::string(" (") + (zfs.raw ? "raw, " : "") + (zfs.increment ? "increment, " : "") +
           (zfs.swapped ? "swapped, " : "") + std::to_string(zfs.objects) + " objects, " +
           (zfs.can_sync ? "" : "no sync, ") + "records of " + std::to_string(zfs.record_bytes) + ", payloads up to " +
           std::to_string(zfs.payload_bytes) + ", groups every " + in_ms(zfs.group_every) + ", synced in " +
           in_ms(zfs.sync_time) + ", finishes in " + in_ms(zfs.finish_time) + ", starts after " +
           in_ms(zfs.late_start) + ", imported after " + in_ms(zfs.import_time) + (zfs.forgets ? ", forgets" : "") +
           ")";
  } else {
    out += std::string(", stream ") + name(base.stream) + " of about " + std::to_string(base.stream_bytes);
  }
  out += std::string(", ") + (base.source_listens ? "source" : "target") + " listens, " +
         (base.with_secret ? "secret" : "keys") + (base.late_workers ? ", late workers" : "") + ", blocks of " +
         std::to_string(base.block_bytes) + ", pools of " + std::to_string(source_pool) + " and " +
         std::to_string(base.pool_buffers) + ", lanes " + std::to_string(lanes) + "\n  store: capacity " +
         std::to_string(capacity_bytes) + ", segments of " + std::to_string(segment_bytes) +
         (end_when_lost ? ", ends when lost" : "") + ", asked every " + in_ms(applied_every) + ", revives after " +
         in_ms(revive_after) + ", disk up to " + in_ms(base.disk_time_max) + ", consumer " +
         std::to_string(base.consumer_bytes_per_second) + " bytes/s; target after " + in_ms(target_delay) +
         ", source after " + in_ms(source_delay);
  out += std::string("\n  shares chunks with ") + kScopes.at(static_cast<std::size_t>(dedup.scope)) + ", ids of " +
         std::to_string(dedup.id_bits) + " bits, repeats " + std::to_string(dedup.repeats);
  if (dedup.earlier_bytes > 0)
    out += ", after another stream of about " + std::to_string(dedup.earlier_bytes) + " bytes, of which " +
           std::to_string(dedup.damage) + " places are damaged";
  if (disk_bytes) out += "\n  a disk of " + std::to_string(*disk_bytes) + " bytes";
  for (const io::SimFolderFault& fault : faults)
    out += std::string("\n  ") + (fault.full ? "ENOSPC" : "EIO") + " at call " + std::to_string(fault.number) + " of " +
           (fault.kind ? name_of(*fault.kind) : "any kind") + ", " + std::to_string(fault.count) + " times";
  for (const CrashStrike& strike : strikes) out += text_of(strike);
  return out;
}

std::vector<CrashJourney> simpler(const CrashJourney& journey) {
  std::vector<CrashJourney> out;
  auto plainer = [&](auto part) {
    CrashJourney next = journey;
    if (part(next)) out.push_back(std::move(next));
  };
  auto set = [](auto& place, const auto& value) { return std::exchange(place, value) != value; };
  auto at = [](auto& list, std::size_t index) { return list.begin() + static_cast<std::ptrdiff_t>(index); };
  for (std::size_t i = 0; i < journey.strikes.size(); ++i)
    plainer([&](CrashJourney& j) { return j.strikes.erase(at(j.strikes, i)), true; });
  for (std::size_t i = 0; i < journey.faults.size(); ++i)
    plainer([&](CrashJourney& j) { return j.faults.erase(at(j.faults, i)), true; });
  plainer([&](CrashJourney& j) { return std::exchange(j.disk_bytes, std::nullopt).has_value(); });
  plainer([&](CrashJourney& j) { return j.zfs.objects > 2 && set(j.zfs.objects, j.zfs.objects / 2); });
  plainer(
      [&](CrashJourney& j) { return j.base.stream_bytes > 300 && set(j.base.stream_bytes, j.base.stream_bytes / 2); });
  plainer(
      [&](CrashJourney& j) { return set(j.zfs.raw, false) | set(j.zfs.increment, false) | set(j.zfs.swapped, false); });
  plainer([&](CrashJourney& j) { return set(j.dedup.scope, pipeline::DedupScope::kNone); });
  plainer([&](CrashJourney& j) { return set(j.dedup.earlier_bytes, std::size_t{0}); });
  plainer([&](CrashJourney& j) { return set(j.dedup.damage, 0u); });
  plainer([&](CrashJourney& j) { return set(j.dedup.id_bits, 128u); });
  plainer([&](CrashJourney& j) { return set(j.dedup.repeats, 0.0); });
  plainer([&](CrashJourney& j) { return set(j.zfs.record_bytes, 4096u); });
  plainer([&](CrashJourney& j) { return set(j.zfs.forgets, false); });
  plainer([&](CrashJourney& j) { return set(j.zfs.import_time, Duration(0)); });
  plainer([&](CrashJourney& j) { return set(j.zfs.late_start, Duration(0)); });
  plainer([&](CrashJourney& j) { return j.lanes > 1 && set(j.lanes, std::size_t{1}); });
  plainer([&](CrashJourney& j) { return set(j.base.late_workers, false); });
  plainer([&](CrashJourney& j) { return set(j.base.source_listens, false); });
  plainer([&](CrashJourney& j) { return set(j.base.with_secret, false); });
  plainer([&](CrashJourney& j) { return set(j.base.pack, pack::Mode::kOff); });
  plainer([&](CrashJourney& j) { return set(j.base.link.jitter, Duration(0)); });
  plainer([&](CrashJourney& j) { return set(j.base.rate_bytes_per_s, std::uint64_t{0}); });
  plainer([&](CrashJourney& j) { return set(j.base.link.bytes_per_second, std::uint64_t{0}); });
  plainer([&](CrashJourney& j) { return set(j.base.consumer_bytes_per_second, std::uint64_t{0}); });
  plainer([&](CrashJourney& j) { return set(j.capacity_bytes, std::uint64_t{1} * limits::MiB); });
  for (std::size_t i = 0; i < journey.strikes.size(); ++i)
    plainer([&](CrashJourney& j) { return set(j.strikes[i].later, Duration(0)); });
  return out;
}

const char* name(CrashVictim victim) { return kVictims.at(static_cast<std::size_t>(victim)); }

}  // namespace zferry::transfer
