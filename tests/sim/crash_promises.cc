// What must hold in a crash journey: as each end ends, and when all is over.
#include <algorithm>

#include "crash_run.h"
#include "pipeline/store_key.h"
#include "store/store.h"

namespace zferry::transfer {

using std::chrono::seconds;

namespace {

std::string ending(const EndLog& log) {
  if (log.crashed) return "crashed";
  if (!log.report) return "still running";
  const session::Ending& end = log.report->ending;
  if (end.ok()) return "success " + std::to_string(static_cast<int>(*end.completion));
  return std::string(facts(end.error.fault).name) + " (" + end.error.what + ")";
}

}  // namespace

void CrashRun::check(const std::string& promise, bool holds, const std::string& detail) {
  ++tally_["promise | crash: " + promise];
  if (!holds) broken_.push_back("crash: " + promise + ": " + detail);
}

std::string CrashRun::story() const {
  std::string out = "\n    stream of " + std::to_string(stream_.size()) + " bytes";
  for (const EndLog& log : sources_) out += "\n    source: " + ending(log);
  for (const EndLog& log : targets_) out += "\n    target: " + ending(log);
  if (zfs_)
    out += "\n    zfs: " + std::to_string(zfs_->begun) + " begun, " + std::to_string(zfs_->resumed) + " resumed, " +
           std::to_string(zfs_->refused) + " refused (" + zfs_->refusal + "), " + std::to_string(zfs_->snapshots_made) +
           " snapshots";
  return out;
}

bool CrashRun::delivered() const {
  return zfs_ ? zfs_->has_snapshot(guid_) && zfs_->content(guid_) == SimZfs::content_of(stream_) : plain_has_all_;
}

void CrashRun::judge_ack(const wire::Ack& ack) {
  if (world_.tracing())
    world_.note("ACK received " + std::to_string(ack.received) + ", delivered " + std::to_string(ack.delivered) +
                ", durable " + std::to_string(ack.durable) + ", credit " + std::to_string(ack.credit) + ", keep " +
                std::to_string(static_cast<int>(ack.keep)) + ", life " + std::to_string(ack.life));
  check("what is acknowledged is in order", ack.delivered <= ack.received && ack.durable <= ack.received,
        "received " + std::to_string(ack.received) + ", delivered " + std::to_string(ack.delivered) + ", durable " +
            std::to_string(ack.durable));
  store_lost_ |= ack.keep == wire::Keep::kStoreLost;
  if (ack.life < life_told_) return;  // last words of a target that died
  if (ack.life > life_told_)
    check("what was told to be durable survives", ack.received >= durable_told_,
          std::to_string(ack.received) + " of " + std::to_string(durable_told_) + story());
  life_told_ = ack.life;
  if (ack.keep == wire::Keep::kStore) durable_told_ = std::max(durable_told_, ack.durable);
}

void CrashRun::hear_need(const wire::Need& need) {
  if (world_.tracing()) world_.note("NEED of block " + std::to_string(need.number) + (need.whole ? ", whole" : ""));
  if (need.whole) {
    ++tally_["chunks | blocks asked for whole"];
  } else if (!answered_.insert(need.number).second) {
    ++tally_["chunks | answers repeated"];
  }
}

void CrashRun::count_chunks(const ChunkWatch& before) {
  const ChunkWatch& now = chunk_watch();
  tally_["chunks | blocks sent as recipes"] += now.recipes - before.recipes;
  tally_["chunks | proofs failed"] += now.proofs_failed - before.proofs_failed;
  tally_["chunks | recipes replayed from the store"] += now.replayed - before.replayed;
  tally_["chunks | pins"] += now.pins - before.pins;
  tally_["chunks | pins refused"] += now.pins_refused - before.pins_refused;
}

void CrashRun::judge_source(const EndLog& log) {
  ++tally_["ending | source " + (log.report ? std::string(facts(log.fault()).name) : "crashed")];
  if (!log.report) return;
  judge_fault(log, true);
  const pipeline::Progress& progress = log.report->progress;
  std::uint64_t pool = journey_.source_pool * journey_.base.block_bytes;
  std::uint64_t times = progress.resume.lanes_lost + target_crashes_ + target_failures_;
  check("what crosses again is bounded", progress.resume.sent_again_bytes <= times * pool,
        std::to_string(progress.resume.sent_again_bytes) + " bytes" + story());
  check("no more is acknowledged than was read", progress.acked_bytes <= stream_.size(), story());
  tally_["chunks | bytes found"] += progress.found_bytes;
  if (log.succeeded()) check("source's success is true", delivered(), story());
}

void CrashRun::judge_target(const EndLog& log) {
  ++tally_["ending | target " + std::string(facts(log.fault()).name)];
  judge_fault(log, false);
  bool already = log.succeeded() && *log.report->ending.completion == wire::Completion::kAlreadyReceived;
  if (log.succeeded()) check(already ? "already received" : "target's success is true", delivered(), story());
}

void CrashRun::judge_fault(const EndLog& log, bool source) {
  bool fits = false;
  switch (log.fault()) {
    case Fault::kNone: fits = true; break;
    case Fault::kUnreachable: fits = true; break;                      // one of the two is there first
    case Fault::kNotAllowed: fits = !journey_.strikes.empty(); break;  // who dies in a handshake hangs up in it
    case Fault::kLinkLost: fits = sources_.size() > 1 || targets_.size() > 1 || !journey_.strikes.empty(); break;
    case Fault::kBusy: fits = sources_.size() > 1 || targets_.size() > 1; break;
    case Fault::kOutcomeUnknown: fits = source; break;
    // Where the store was lost nothing tells a later run that ZFS has the snapshot already, or what an orphan leaves.
    case Fault::kConsumerFailed:
      fits = consumer_kills_ > 0 || zfs_forgot_ || journey_.zfs.import_time > Duration(0) ||
             (journey_.disk_trouble() && zfs_ && (zfs_->has_snapshot(guid_) || zfs_->refused > 0));
      break;
    case Fault::kInterrupted: fits = completed_; break;
    // Of a question whether it was received a target that is started anew knows nothing.
    case Fault::kSessionGone:
      fits = store_lost_ || journey_.disk_trouble() || log.saw("opening", "opened-already");
      break;
    case Fault::kStoreFull: fits = journey_.disk_trouble(); break;
    case Fault::kStoreFailed: fits = hopeless(); break;  // it let go of what ZFS then forgot
    default: break;
  }
  check("the fault fits", fits, story());
}

void CrashRun::judge_all() {
  if (gave_up_)
    for (io::SimHost* host : {&source_host_, &target_host_}) host->crash(io::SimCrash::kKilled);
  world_.run_for(seconds(60));
  for (io::SimHost* host : {&source_host_, &target_host_})
    for (std::size_t index = 0; index < host->child_count(); ++index)
      check("nothing is left", host->child(index).exited, "a child" + story());
  if (completed_) check("source's success is true", delivered(), story());
  if (zfs_ && completed_) check("ZFS receives it once", zfs_->snapshots_made == 1, story());
  if (completed_) judge_store();
}

// A store that could be read all the time holds nothing of what is complete.
void CrashRun::judge_store() {
  target_.side.reset();
  if (target_host_.up()) target_host_.crash(io::SimCrash::kKilled);
  target_host_.disk().folders.faults.clear();
  target_host_.restart();
  SeededRandom random(1);
  auto key = pipeline::store_key(target_host_.files().state(), random);
  auto folder = target_host_.files().folder("/store");
  store::StoreSettings settings;
  settings.capacity_bytes = 1 << 20;
  auto store = store::Store::open(*folder, *key, std::move(settings), random);
  check("the store opens", store.ok(), (store.ok() ? "" : store.error().what) + story());
  if (store.ok() && !journey_.disk_trouble())
    check("the store keeps nothing of what is complete", (*store)->sessions().empty(), story());
}

}  // namespace zferry::transfer
