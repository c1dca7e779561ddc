// What strikes a crash journey: inside the calls of the store, at a row of a state table, or after some events.
#include <algorithm>
#include <csignal>

#include "crash_run.h"

namespace zferry::transfer {

void CrashRun::on_event(bool source, std::string_view state, std::string_view event) {
  std::string row = std::string(state) + " | " + std::string(event);
  std::string full = (source ? "source | " : "target | ") + row;
  if (world_.tracing()) world_.note(full);
  ++tally_[full];
  (source ? source_.log : target_.log)->rows.insert(std::move(row));
  std::uint64_t count = ++row_counts_[full];
  take_pending([&](const CrashStrike& strike) { return strike.row == full && strike.nth <= count; });
}

void CrashRun::on_folder_call(const io::SimFolderCall& call) {
  std::uint64_t of_kind = target_host_.disk().folders.calls(call.kind);
  take_pending([&](const CrashStrike& strike) {
    if (strike.call == 0 || (strike.kind && *strike.kind != call.kind)) return false;
    std::uint64_t number = strike.kind ? of_kind : call.number;
    return strike.call == number && strike.moment == call.moment;
  });
}

void CrashRun::check_strikes() {
  take_pending([&](const CrashStrike& strike) { return strike.events != 0 && world_.events_run() >= strike.events; });
}

void CrashRun::take_pending(const std::function<bool(const CrashStrike&)>& due) {
  for (std::size_t index = 0; index < pending_.size(); ++index) {
    if (!due(pending_[index])) continue;
    CrashStrike what = pending_[index];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index--));
    if (what.later == Duration(0)) {
      strike(what);
    } else {
      world_.after(what.later, [this, what] { strike(what); });
    }
  }
}

void CrashRun::strike(const CrashStrike& what) {
  if (completed_ || gave_up_) return;
  if (world_.tracing()) world_.note(std::string("STRIKE ") + name(what.victim));
  ++tally_[std::string("strike | ") + name(what.victim)];
  last_trouble_ = world_.now();
  switch (what.victim) {
    case CrashVictim::kTarget: return crash_target(what.how);
    case CrashVictim::kSource: return crash_source(what.how);
    case CrashVictim::kConsumer: return kill_consumer();
    case CrashVictim::kBothEnds: crash_target(what.how); return crash_source(what.how);
    case CrashVictim::kTargetAndConsumer: kill_consumer(); return crash_target(what.how);
    case CrashVictim::kLanes: return cut_lanes(what.stall);
    case CrashVictim::kLane: return cut_lane(what.lane);
    case CrashVictim::kCount: return;
  }
}

void CrashRun::crash_target(io::SimCrash how) {
  if (!target_.alive() || target_.log->over()) return;
  ++target_crashes_;
  target_.log->crashed = true;
  target_host_.crash(how);
  if (how == io::SimCrash::kPowerLoss && zfs_) zfs_->power_lost();
  ++tally_[how == io::SimCrash::kPowerLoss ? "strike | power loss" : "strike | kill"];
}

void CrashRun::crash_source(io::SimCrash how) {
  if (!source_.alive() || source_.log->over()) return;
  source_.log->crashed = true;
  source_host_.crash(how);
}

// The one that runs, of whatever run of the target.
void CrashRun::kill_consumer() {
  for (std::size_t index = target_host_.child_count(); index-- > 0;) {
    const io::SimChildRecord& child = target_host_.child(index);
    if (!child.is_consumer || child.exited) continue;
    ++consumer_kills_;
    return target_host_.signal_child(index, SIGKILL);
  }
}

void CrashRun::cut_lanes(Duration stall) {
  for (std::size_t number = 0; number < world_.network().connection_count(); ++number) {
    io::SimConnection& lane = world_.network().connection(number);
    if (!lane.whole()) continue;
    stall > Duration(0) ? lane.stall(stall) : lane.reset();
  }
}

void CrashRun::cut_lane(unsigned lane) {
  std::vector<io::SimConnection*> whole;
  for (std::size_t number = 0; number < world_.network().connection_count(); ++number)
    if (io::SimConnection& one = world_.network().connection(number); one.whole()) whole.push_back(&one);
  if (!whole.empty()) whole[lane % whole.size()]->reset();
}

}  // namespace zferry::transfer
