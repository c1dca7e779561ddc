// What must hold in a journey: as each end ends, and when all is over.
#include <algorithm>

#include "journey_run.h"

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

bool already(const EndLog& log) {
  return log.succeeded() && *log.report->ending.completion == wire::Completion::kAlreadyReceived;
}

bool reached(const EndLog& log, const std::string& state) {
  return std::any_of(log.rows.begin(), log.rows.end(),
                     [&](const std::string& row) { return row.starts_with(state + " | "); });
}

}  // namespace

void JourneyRun::check(const std::string& promise, bool holds, const std::string& detail) {
  ++tally_["promise | journey: " + promise];
  if (!holds) broken_.push_back("journey: " + promise + ": " + detail);
}

std::string JourneyRun::story() const {
  std::string out;
  for (const SourceRun& run : sources_) {
    constexpr const char* kWho[] = {"source", "rival", "other", "stranger"};
    out += std::string("\n    ") + kWho[static_cast<int>(run.who)] + " with stream " + std::to_string(run.stream) +
           " of " + std::to_string(streams_[run.stream].size()) + ": " + ending(run.log);
  }
  for (const TargetRun& run : targets_)
    out += "\n    target: " + ending(run.log) + "; taken " + std::to_string(run.delivery.taken);
  return out;
}

// Whether some target's destination has this stream as a whole.
bool JourneyRun::delivered(const TargetRun& run, std::size_t stream) const {
  // What takes our standard output on a machine that lost its power is gone with it.
  bool to_output = journey_.base.consumer == Consumer::kStandardOutput;
  if (to_output && run.lost_power) return run.candidates[stream] && run.log.saw("receiving", "final-right");
  if (!run.candidates[stream] || run.delivery.taken != streams_[stream].size()) return false;
  switch (journey_.base.consumer) {
    case Consumer::kFile: return run.whole;
    case Consumer::kStandardOutput: return true;
    default: return run.delivery.started == 1 && target_host_.child(run.child).succeeded();
  }
}

bool JourneyRun::delivered(std::size_t stream) const {
  return std::any_of(targets_.begin(), targets_.end(), [&](const TargetRun& run) { return delivered(run, stream); });
}

bool JourneyRun::only_guests() const {
  return std::all_of(journey_.strikes.begin(), journey_.strikes.end(),
                     [](const JourneyStrike& strike) { return strike.blow >= Blow::kRival; });
}

void JourneyRun::judge_source(const SourceRun& run) {
  const EndLog& log = run.log;
  ++tally_["ending | source " + (log.report ? std::string(facts(log.fault()).name) : "crashed")];
  judge_faults(run.log, true);
  if (!log.report) return;
  const pipeline::Progress& progress = log.report->progress;
  std::uint64_t pool = journey_.source_pool * journey_.base.block_bytes;  // stored blocks stand in the raw half
  check("what is sent again is bounded", progress.resume.sent_again_bytes <= progress.resume.lanes_lost * pool,
        std::to_string(progress.resume.sent_again_bytes) + " bytes" + story());
  check("no more is acknowledged than was read", progress.acked_bytes <= streams_[run.stream].size(), story());
  if (log.fault() == Fault::kOutcomeUnknown) check("unknown only after FINAL", reached(log, "final-sent"), story());
  bool to_output = journey_.base.consumer == Consumer::kStandardOutput;
  if (log.succeeded() && !to_output) check("source's success is true", delivered(run.stream), story());
  if (log.succeeded()) check("no success of a failed input", !run.failing_producer, story());
  bool still_there = run.target_run == targets_.size() && !targets_.back().log.over() && !sources_.front().log.over() &&
                     target_->end->state() == session::TargetState::kReceiving;
  if (run.who != Who::kMain && run.met_a_session && only_guests() && still_there)
    check("a run that lives keeps its session", log.fault() == Fault::kBusy, story());
}

void JourneyRun::judge_target(const TargetRun& run) {
  const EndLog& log = run.log;
  ++tally_["ending | target " + (log.report ? std::string(facts(log.fault()).name) : "crashed")];
  judge_faults(run.log, false);
  if (!log.report) return;
  for (std::size_t index = children_at_start_; index < target_host_.child_count(); ++index)
    check("the consumer is gone before its target", target_host_.child(index).exited, story());
  if (!log.saw("receiving", "final-right") && !already(log))
    check("no success without FINAL", !log.succeeded(), story());
  if (journey_.base.consumer == Consumer::kStandardOutput) return;
  bool whole = false;
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) whole |= delivered(run, stream);
  if (log.succeeded() && !already(log)) check("target's success is true", whole, story());
  if (log.saw("receiving", "final-right") && whole) check("no failure of what was delivered", log.succeeded(), story());
  if (already(log)) check("what was already received brings no consumer", run.delivery.started == 0, story());
}

// The window is never more than half the target's pool: what is welcome has room.
void JourneyRun::judge_ack(const wire::Ack& ack) {
  std::uint64_t most = std::max<std::uint64_t>(journey_.base.pool_buffers / 2, 2);
  check("the window never exceeds the pool", ack.credit <= ack.delivered + most,
        "credit " + std::to_string(ack.credit) + ", delivered " + std::to_string(ack.delivered));
  check("what is acknowledged is in order", ack.delivered <= ack.received && ack.received <= ack.credit,
        "received " + std::to_string(ack.received) + ", delivered " + std::to_string(ack.delivered));
}

void JourneyRun::judge_faults(const EndLog& log, bool source) {
  bool guests = journey_.has(Blow::kRival) || journey_.has(Blow::kOtherStream) || journey_.has(Blow::kStranger);
  auto shape_with = [this](auto what) { return std::any_of(journey_.shapes.begin(), journey_.shapes.end(), what); };
  bool changed = shape_with([](const SourceShape& shape) { return shape.equal.has_value(); });
  bool failing = shape_with([](const SourceShape& shape) { return shape.fails.has_value(); });
  bool interrupts = journey_.has(Blow::kSourceInterrupted) || journey_.has(Blow::kTargetInterrupted);
  bool fits = false;
  switch (log.fault()) {
    case Fault::kNone: fits = true; break;
    case Fault::kProtocol: fits = flipped_; break;
    // Not while it lives: only who fell silent is fenced.
    case Fault::kFenced: fits = journey_.has(Blow::kRival) && !only_guests(); break;
    case Fault::kBusy: fits = guests || sources_.size() > 1 || targets_.size() > 1; break;
    case Fault::kDifferentStream: fits = changed; break;
    case Fault::kSessionGone: fits = targets_.size() > 1 || sources_.size() > 1; break;
    // A source that finds another stream, or fails while it only compares, leaves as an interrupted one does.
    case Fault::kInterrupted: fits = interrupts || interrupted_by_operator_ || (!source && (changed || failing)); break;
    case Fault::kProducerFailed:
    case Fault::kInputFailed:
    case Fault::kStreamIncomplete: fits = failing; break;
    case Fault::kOutcomeUnknown: fits = source; break;
    case Fault::kLinkLost:
    case Fault::kUnreachable:
    case Fault::kNotAllowed: fits = !journey_.strikes.empty() || failing || changed; break;
    default: break;
  }
  if (journey_.gentle) fits = log.succeeded() || failing || changed;
  check(journey_.gentle ? "what the lanes survive nobody notices" : "the fault fits", fits, story());
}

void JourneyRun::judge_all() {
  world_.run_for(seconds(30) + journey_.base.consumer_stall);  // one that lost its target may still stall
  for (std::size_t index = 0; index < target_host_.child_count(); ++index)
    check("nothing is left", target_host_.child(index).exited, "a consumer");
  for (std::size_t index = 0; index < source_host_.child_count(); ++index)
    check("nothing is left", source_host_.child(index).exited, "a producer");
  for (io::SimHost* host : {&source_host_, &target_host_})
    if (host->up()) check("nothing is left", host->network().listen({"", "9443"}).ok(), "a listener");
  for (const SourceRun& run : sources_)
    if (run.log.succeeded()) check("source's success is true", delivered(run.stream), story());
  bool once = !journey_.has(Blow::kTargetCrash) && !journey_.has(Blow::kRival) && !journey_.has(Blow::kOtherStream) &&
              !journey_.has(Blow::kStranger) && journey_.base.consumer != Consumer::kStandardOutput;
  for (const SourceShape& shape : journey_.shapes) once = once && !shape.equal;
  // Killed when it had forgotten that it did not know, and before it could say so: its operator runs it again.
  for (const SourceRun& run : sources_) once = once && !(run.log.crashed && run.log.forgot_marker());
  once = once && (journey_.base.named || journey_.base.stream >= Stream::kZfs);
  auto wholes =
      std::count_if(targets_.begin(), targets_.end(), [this](const TargetRun& run) { return delivered(run, 0); });
  if (once) check("never received twice", wholes == 1, story());
  if (!journey_.gentle) return;
  check("cuts end no run", sources_.size() == 1 && targets_.size() == 1, story());
  check("cuts end no consumer", targets_[0].delivery.started <= 1 && delivered(0), story());
}

}  // namespace zferry::transfer
