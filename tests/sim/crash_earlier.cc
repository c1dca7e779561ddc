// What a crash journey's store holds before it begins: another stream, which shares content with the journey's, and was
// received with no trouble at all; and what a disk then does to it.
#include <algorithm>

#include "crash_run.h"
#include "transfer_streams.h"
#include "unit/zstream/resumable_streams.h"

namespace zferry::transfer {

using std::chrono::hours;
using std::chrono::seconds;

namespace {

std::vector<std::byte> zfs_stream(const CrashJourney& journey, std::uint64_t content_seed, bool earlier,
                                  Repeats* repeats, std::uint64_t& guid) {
  SeededRandom random(content_seed);
  const CrashZfs& zfs = journey.zfs;
  zstream::testing::ResumableShape shape{.swapped = zfs.swapped,
                                         .raw = zfs.raw,
                                         .increment = zfs.increment,
                                         .objects = zfs.objects,
                                         .payload_bytes_max = zfs.payload_bytes,
                                         .record_bytes = zfs.record_bytes};
  if (zfs.record_bytes < 4096) shape.writes_max = 30;
  if (repeats != nullptr)
    shape.content = [repeats, most = zfs.payload_bytes](SeededRandom& chance, std::size_t bytes) {
      return repeats->next(chance, chance.chance(0.6) ? most : bytes);
    };
  if (earlier) shape.toguid = 0x2222;
  zstream::testing::ResumableStream made = zstream::testing::make_resumable(random, shape);
  guid = made.toguid;
  return std::move(made.bytes);
}

}  // namespace

void CrashRun::make_streams() {
  const CrashDedup& dedup = journey_.dedup;
  const std::uint64_t seed = journey_.base.seed;
  const bool zfs = journey_.sink == CrashSink::kZfs;
  const std::size_t piece_bytes = zfs ? journey_.zfs.payload_bytes : 2 * journey_.base.block_bytes;
  const auto make = [&](Scenario base, bool earlier, std::uint64_t& guid) {
    // The family is the same, what is new in it is not.
    Repeats repeats(seed, dedup.repeats, piece_bytes);
    Repeats* of = dedup.repeats > 0 ? &repeats : nullptr;
    const std::uint64_t content = seed * 2 + 1 + (earlier ? 1'000'000'007 : 0);
    return zfs ? zfs_stream(journey_, content, earlier, of, guid) : make_stream(base, content, of);
  };
  stream_ = make(journey_.base, false, guid_);
  if (dedup.earlier_bytes == 0) return;
  Scenario base = journey_.base;
  base.seed += 1'000'003;  // another guid
  base.stream_bytes = dedup.earlier_bytes;
  std::uint64_t guid = 0;
  earlier_ = make(base, true, guid);
}

// From the same source, by way of the same target.
void CrashRun::send_earlier() {
  EndLog source, target;
  target_.log = &target;
  source_.log = &source;
  std::vector<std::byte> taken;
  target_host_.add_program("zfs-receive", [&](const std::vector<std::string>&) {
    io::SimConsumer script;
    script.collect = false;
    script.on_bytes = [&taken](std::uint64_t, ConstBytes bytes) {
      taken.insert(taken.end(), bytes.begin(), bytes.end());
    };
    return script;
  });
  set_up_target();
  set_up_source(earlier_);
  target_.side->settings.consumer = {"zfs-receive"};
  source_.side->settings.session_name = "weekly";
  // Who dials comes when the other is there.
  bool listening = journey_.base.source_listens;
  target_.side->settings.notices.listening = [&](const std::string&, std::uint16_t) { listening = true; };
  if (listening) source_.side->start(source);
  target_.side->start(target);
  world_.run_until([&] { return listening; }, hours(1));
  if (!journey_.base.source_listens) source_.side->start(source);
  world_.run_until([&] { return source.over() && target.over(); }, hours(24));
  check("an earlier stream arrives", source.succeeded() && target.succeeded() && taken == earlier_, story());
  tally_["chunks | of an earlier stream, bytes found"] += source.report ? source.report->progress.found_bytes : 0;
  for (io::SimHost* host : {&source_host_, &target_host_}) host->crash(io::SimCrash::kKilled);
  source_.side.reset();
  target_.side.reset();
  source_.log = target_.log = nullptr;
  world_.run_for(seconds(60));
  for (io::SimHost* host : {&source_host_, &target_host_}) host->restart();
  damage_store();
}

// Bits rot, ends are lost, files go: of segments, and of what says which chunks are in them.
void CrashRun::damage_store() {
  SeededRandom random(journey_.base.seed * 31 + 7);
  io::SimDiskFolder& folder = target_host_.disk().folders.folders()[kStore];
  for (unsigned left = journey_.dedup.damage; left > 0; --left) {
    std::vector<std::string> names;
    for (const auto& [name, file] : folder.names())
      if (name.starts_with("segment-") || name.starts_with("chunks-")) names.push_back(name);
    if (names.empty()) return;
    const std::string name = names[random.below(names.size())];
    const std::shared_ptr<io::SimDiskFile> file = folder.names().at(name);
    std::vector<std::byte>& content = file->content();
    ++tally_["chunks | damaged"];
    if (random.chance(0.2)) {
      folder.change(name, "", file, target_host_.disk().folders.remains());
      folder.sync();
    } else if (!content.empty()) {
      for (std::size_t flips = 1 + random.below(8); flips > 0; --flips)
        content[random.below(content.size())] ^= std::byte{1} << random.below(8);
    }
  }
}

}  // namespace zferry::transfer
