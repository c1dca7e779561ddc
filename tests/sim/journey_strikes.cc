// What strikes a journey: lanes, the network, processes, and guests at the target.
#include <csignal>

#include "journey_run.h"

namespace zferry::transfer {

using std::chrono::seconds;

void JourneyRun::on_event(Place* place, std::string_view state, std::string_view event) {
  bool source = place != nullptr;
  std::string row = std::string(state) + " | " + std::string(event);
  std::string full = (source ? "source | " : "target | ") + row;
  if (world_.tracing()) world_.note(full);
  ++tally_[full];
  EndLog& log = source ? place->run->log : targets_.back().log;
  log.rows.insert(std::move(row));
  if (source && state == "final-sent" && event == "final-ack")
    check("a record before FINAL-ACK",
          std::any_of(target_host_.disk().records.begin(), target_host_.disk().records.end(), [](const auto& entry) {
            return entry.first.starts_with("done-") || entry.first.starts_with("told-");
          }));
  std::uint64_t count = ++row_counts_[full];
  for (std::size_t index = 0; index < pending_.size(); ++index) {
    if (pending_[index].row != full || pending_[index].nth > count || !armed()) continue;
    JourneyStrike strike = pending_[index];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index--));
    due(strike);
  }
}

// What is gentle leaves the first meeting alone: an end that meets nobody ends.
bool JourneyRun::armed() const {
  if (!journey_.gentle) return true;
  return main_.run != nullptr && (main_.run->log.saw("opening", "opened"));
}

void JourneyRun::check_strikes() {
  for (std::size_t index = 0; index < pending_.size(); ++index) {
    if (!pending_[index].row.empty() || world_.events_run() < pending_[index].events || !armed()) continue;
    JourneyStrike strike = pending_[index];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index--));
    due(strike);
  }
}

void JourneyRun::due(const JourneyStrike& what) {
  if (what.later == Duration(0)) return strike(what);
  world_.after(what.later, [this, what] { strike(what); });
}

void JourneyRun::strike(const JourneyStrike& what) {
  if (completed_) return;
  if (world_.tracing()) world_.note(std::string("STRIKE ") + name(what.blow));
  ++tally_[std::string("strike | ") + name(what.blow)];
  switch (what.blow) {
    case Blow::kPart: return part(what.how_long);
    case Blow::kSourceCrash: return crash_source(what.crash);
    case Blow::kTargetCrash: return crash_target(what.crash);
    case Blow::kSourceInterrupted:
      if (!main_.alive()) return;
      main_.run->hurt = true;
      return source_host_.interrupt(SIGTERM);
    case Blow::kTargetInterrupted:
      if (!target_ || !target_->end) return;
      targets_.back().hurt = true;
      return target_host_.interrupt(SIGINT);
    // Not from inside an end's own call.
    case Blow::kRival: return world_.after(Duration(1), [this] { start_guest(Who::kRival); });
    case Blow::kOtherStream: return world_.after(Duration(1), [this] { start_guest(Who::kOther); });
    case Blow::kStranger:
      return world_.after(Duration(1),
                          [this] { start_guest(journey_.base.with_secret ? Who::kOther : Who::kStranger); });
    default: return strike_lanes(what);
  }
}

std::vector<io::SimConnection*> JourneyRun::lanes() {
  std::vector<io::SimConnection*> lanes;
  for (std::size_t number = 0; number < world_.network().connection_count(); ++number)
    if (world_.network().connection(number).whole()) lanes.push_back(&world_.network().connection(number));
  return lanes;
}

void JourneyRun::strike_lanes(const JourneyStrike& what) {
  std::vector<io::SimConnection*> all = lanes();
  if (all.empty()) return;
  auto cut = [&](io::SimConnection& lane) {
    if (what.action == io::SimFault::Action::kReset) return lane.reset();
    if (what.action == io::SimFault::Action::kEnd) return lane.end(what.direction);
    lane.silence();
  };
  io::SimConnection& one = *all[what.lane % all.size()];
  switch (what.blow) {
    case Blow::kCutOne: return cut(one);
    case Blow::kCutAll:
      for (io::SimConnection* lane : all) cut(*lane);
      return;
    case Blow::kHalfOpen:
      for (io::SimConnection* lane : all) lane->half_open(what.direction);
      return;
    case Blow::kMoved:
      for (io::SimConnection* lane : all) lane->silence();
      return;
    case Blow::kStall: return one.stall(what.how_long);
    case Blow::kFlip:
      flipped_ = true;
      return one.inject({.action = io::SimFault::Action::kFlip,
                         .direction = what.direction,
                         .after_bytes = one.bytes_sent(what.direction) + what.lane * 11,
                         .bit = what.lane % 8});
    default: return;
  }
}

// One at a time; what is gentle leaves time between two, so that nobody's patience ends.
void JourneyRun::part(Duration how_long) {
  if (parted_ || (journey_.gentle && healed_ != TimePoint{} && world_.now() - healed_ < seconds(20))) return;
  parted_ = true;
  world_.network().part("source", "target");
  world_.after(how_long, [this] {
    parted_ = false;
    healed_ = world_.now();
    world_.network().heal("source", "target");
  });
}

void JourneyRun::crash_source(io::SimCrash how) {
  if (!main_.alive() || main_.run->log.over()) return;
  main_.run->hurt = main_.run->log.crashed = true;
  source_host_.crash(how);
}

void JourneyRun::crash_target(io::SimCrash how) {
  if (!target_ || !target_->end || targets_.back().log.over()) return;
  TargetRun& run = targets_.back();
  run.hurt = run.log.crashed = true;
  run.lost_power = how == io::SimCrash::kPowerLoss;
  target_host_.crash(how);
}

}  // namespace zferry::transfer
