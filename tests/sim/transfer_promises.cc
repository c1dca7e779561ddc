#include "transfer_promises.h"

#include <algorithm>

#include "base/limits.h"

namespace zferry::transfer {
namespace {

// The faults that one run without link trouble must end with; empty: it must succeed.
struct Expectation {
  std::set<Fault> faults;
  bool may_succeed = false;
};

class Judge {
 public:
  Judge(Transfer& transfer, Tally& tally, std::vector<std::string>& broken)
      : transfer_(transfer), scenario_(transfer.scenario()), tally_(tally), broken_(broken) {}

  // After each run.
  void any_run(const RunLog& run, const std::string& which);
  // Of a run whose link and processes were well.
  void first_run(const RunLog& run);
  // What the disks hold after a run, before the next.
  void disks(const RunLog& run);
  // Of a run without any trouble, after others.
  void clean_rerun(const RunLog& before, const RunLog& run, bool known);
  void source_alone(const RunLog& first, const RunLog& second);

 private:
  void check(const std::string& promise, bool holds, const std::string& detail) {
    ++tally_["promise | " + promise];
    if (!holds) broken_.push_back(which_ + ": " + promise + ": " + detail);
  }
  void no_false_success(const RunLog& run);
  const RunLog* last_delivery_before(const RunLog* run) const;
  void no_false_failure(const RunLog& run);
  void nothing_committed_on_failure(const RunLog& run);
  void endings_match(const RunLog& run);
  void only_fitting_faults(const RunLog& run);
  void as_expected(const RunLog& run, const Expectation& expectation);
  void add_input_faults(std::set<Fault>& faults, bool troubled) const;
  void add_output_faults(std::set<Fault>& faults, const RunLog& run) const;
  std::string endings(const RunLog& run) const;

  Transfer& transfer_;
  const Scenario& scenario_;
  Tally& tally_;
  std::vector<std::string>& broken_;
  std::string which_;
};

std::string ending(const EndLog& log) {
  if (log.crashed) return "crashed";
  if (!log.report) return "still running";
  const session::Ending& end = log.report->ending;
  if (end.ok()) return "success " + std::to_string(static_cast<int>(*end.completion));
  return std::string(facts(end.error.fault).name) + " (" + end.error.what + ")";
}

std::string Judge::endings(const RunLog& run) const {
  return "source " + ending(run.source) + "; target " + ending(run.target) + "; stream " +
         std::to_string(run.stream.size()) + ", taken " + std::to_string(run.delivery.taken);
}

bool lasting_identity(const Scenario& scenario) { return scenario.named || scenario.stream >= Stream::kZfs; }

bool already(const EndLog& log) {
  return log.succeeded() && *log.report->ending.completion == wire::Completion::kAlreadyReceived;
}

void Judge::any_run(const RunLog& run, const std::string& which) {
  which_ = which;
  check("ends in bounded time", run.finished, endings(run));
  if (!run.finished) return;
  ++tally_["ending | source " + (run.source.report ? std::string(facts(run.source.fault()).name) : "crashed")];
  ++tally_["ending | target " + (run.target.report ? std::string(facts(run.target.fault()).name) : "crashed")];
  check("a prefix of the stream, in order, once", !run.delivery.wrong_bytes, endings(run));
  check("the consumer is gone before its target", !run.delivery.still_ran_at_report, endings(run));
  no_false_success(run);
  no_false_failure(run);
  nothing_committed_on_failure(run);
  only_fitting_faults(run);
  if (!run.link_struck) endings_match(run);
}

// The run that last began to write to the destination: what the destination holds is its doing, and whatever an earlier
// one left there may be gone.
const RunLog* Judge::last_delivery_before(const RunLog* run) const {
  const RunLog* first = transfer_.runs().data();
  while (run != first)
    if ((--run)->target.saw("starting", "consumer-ready")) return run;
  return nullptr;
}

void Judge::no_false_success(const RunLog& run) {
  bool known = already(run.source) || already(run.target);
  const RunLog* delivery = known ? last_delivery_before(&run) : &run;
  bool whole = delivery != nullptr && transfer_.complete(*delivery) && delivery->stream == run.stream;
  if (known) check("an earlier run did receive it", whole && run.delivery.started == 0, endings(run));
  if (run.target.succeeded()) check("target's success is true", whole, endings(run));
  if (run.source.succeeded()) {
    check("source's success is true", whole, endings(run));
    check("a record before FINAL-ACK", !run.record_missing_at_final_ack, endings(run));
    check("no success that the target does not share", run.target.crashed || run.target.succeeded(), endings(run));
    check("no success of a failed input", !run.troubles.producer || scenario_.producer < Producer::kFails,
          endings(run));
  }
  if (run.flipped && whole) ++tally_["promise | a flip, and right bytes"];
}

// The tail is out: the consumer's verdict is the target's, whatever else happened.
void Judge::no_false_failure(const RunLog& run) {
  bool could_write_down = !has(run.troubles.strikes, Trouble::kTargetState);
  if (!run.target.saw("receiving", "final-right") || !run.target.report || !could_write_down) return;
  if (transfer_.complete(run)) check("no failure of what was delivered", run.target.succeeded(), endings(run));
}

// Decided before FINAL was right: the consumer never saw the tail, and no file appeared.
void Judge::nothing_committed_on_failure(const RunLog& run) {
  if (run.target.saw("receiving", "final-right")) return;
  std::uint64_t size = run.stream.size();
  std::uint64_t most = size - std::min<std::uint64_t>(size, limits::kTailBytes);
  check("the tail is withheld until FINAL", run.delivery.taken <= most, endings(run));
  check("no success without FINAL", !run.target.succeeded() || already(run.target), endings(run));
}

void Judge::endings_match(const RunLog& run) {
  if (!run.source.met() || !run.target.met()) return;
  // Where the first source left before it opened anything, the target's session was the second's.
  if (scenario_.rerun == Rerun::kSourceAtOnce && run.interrupted) return;
  // An end waits three seconds for the other to hear of an abort, not for ever.
  if (run.stalled > std::chrono::seconds(2) && run.source.fault() != Fault::kNone) return;
  // A LEAVE tells no fault: where the target fails at the same time, of its own, each names what befell it.
  bool left = run.source.fault() == Fault::kInterrupted && has(run.troubles.strikes, Trouble::kSourceInterrupted);
  if (left && !run.target.succeeded()) return;
  bool open = run.source.fault() == Fault::kOutcomeUnknown;
  check(open ? "outcome unknown is the one exception" : "the endings match",
        open || run.source.fault() == run.target.fault(), endings(run));
}

void Judge::only_fitting_faults(const RunLog& run) {
  for (const EndLog* log : {&run.source, &run.target}) {
    Fault fault = log->fault();
    bool fits = fault != Fault::kInternal && fault != Fault::kDigestMismatch && fault != Fault::kUsage;
    if (fault == Fault::kProtocol) fits = run.flipped || has(run.troubles.strikes, Trouble::kBlocksTooLong);
    if (fault == Fault::kInterrupted) fits = run.interrupted || log->interrupted_by_test;
    if (fault == Fault::kNotAllowed)
      fits = run.link_struck || run.interrupted || has(run.troubles.strikes, Trouble::kWrongKey);
    if (fault == Fault::kBusy) fits = scenario_.rerun == Rerun::kSourceAtOnce;
    check("the fault fits", fits, endings(run));
  }
}

void Judge::add_input_faults(std::set<Fault>& faults, bool troubled) const {
  bool run_by_us = scenario_.producer >= Producer::kRun;
  if (scenario_.stream == Stream::kDamaged) faults.insert(Fault::kStreamDamaged);
  if (scenario_.stream == Stream::kTruncated) faults.insert(Fault::kStreamIncomplete);
  if (scenario_.stream == Stream::kMissingSnapshot && !run_by_us) faults.insert(Fault::kStreamIncomplete);
  if (scenario_.stream == Stream::kEmpty && !run_by_us) faults.insert(Fault::kStreamIncomplete);
  if (!troubled) return;
  switch (scenario_.producer) {
    case Producer::kPipeFails: faults.insert(Fault::kInputFailed); break;
    case Producer::kFails:
    case Producer::kKilled: faults.insert(Fault::kProducerFailed); break;
    case Producer::kCannotRun: faults.insert(Fault::kCannotRun); break;
    default: break;
  }
}

void Judge::add_output_faults(std::set<Fault>& faults, const RunLog& run) const {
  bool before_the_end = scenario_.consumer_stops_share < 1 && !run.stream.empty();
  switch (scenario_.consumer) {
    case Consumer::kLeavesContent:
      if (before_the_end) faults.insert(Fault::kConsumerFailed);
      break;
    case Consumer::kLeavesUnhappy:
    case Consumer::kFailsAtEnd: faults.insert(Fault::kConsumerFailed); break;
    case Consumer::kCannotRun: faults.insert(Fault::kCannotRun); break;
    case Consumer::kFileFull:
    case Consumer::kStandardOutputFull:
      if (before_the_end) faults.insert(Fault::kOutputFailed);
      break;
    case Consumer::kCommitFails: faults.insert(Fault::kOutputFailed); break;
    default: break;
  }
}

void Judge::as_expected(const RunLog& run, const Expectation& expectation) {
  for (const EndLog* log : {&run.source, &run.target}) {
    bool right = log->succeeded() ? expectation.faults.empty() || expectation.may_succeed
                                  : expectation.faults.count(log->fault()) != 0;
    check(expectation.faults.empty() ? "success where nothing is wrong" : "the fault that it must be", right,
          endings(run));
  }
}

void Judge::first_run(const RunLog& run) {
  if (!run.finished || run.link_struck || run.interrupted || has(run.troubles.strikes, Trouble::kWrongKey)) return;
  if (has(run.troubles.strikes, Trouble::kBlocksTooLong)) {
    check("blocks too long are refused", run.target.fault() == Fault::kProtocol || run.source.fault() != Fault::kNone,
          endings(run));
    return;
  }
  if (has(run.troubles.strikes, Trouble::kPortTaken)) {
    const EndLog& listener = scenario_.source_listens ? run.source : run.target;
    bool right = listener.fault() == Fault::kUnreachable || listener.fault() == Fault::kStateFailed;
    check("a port that is taken is named", right, endings(run));
    return;
  }
  Expectation expectation;
  add_input_faults(expectation.faults, run.troubles.producer);
  add_output_faults(expectation.faults, run);
  // A consumer that leaves content before anything came has still taken all of nothing.
  expectation.may_succeed = run.stream.empty() && scenario_.consumer == Consumer::kLeavesContent;
  if (run.stream.empty() && scenario_.consumer == Consumer::kLeavesContent)
    expectation.faults.insert(Fault::kConsumerFailed);
  if (has(run.troubles.strikes, Trouble::kTargetState) && !run.target.succeeded()) {
    // One of three places: before meeting, at OPEN, or after delivery.
    if (run.target.met()) expectation.faults.insert(Fault::kStateFailed);
    check("a state folder that fails is named",
          run.target.fault() == Fault::kStateFailed || expectation.faults.count(run.target.fault()), endings(run));
    if (!run.target.met()) return;
  }
  as_expected(run, expectation);
}

void Judge::disks(const RunLog& run) {
  bool state_was_bad = has(run.troubles.strikes, Trouble::kSourceState);
  const RunLog* delivery = last_delivery_before(&run + 1);
  const bool record = transfer_.record_on_disk();
  const bool marker = transfer_.marker_on_disk();
  if (record && lasting_identity(scenario_))
    check("a record means that it is there", delivery && transfer_.complete(*delivery), endings(run));
  if (run.source.fault() == Fault::kOutcomeUnknown) {
    // Of a stream that no run could be told from another by, there is nothing to note.
    if (!state_was_bad) check("outcome unknown is written down", marker == lasting_identity(scenario_), endings(run));
    if (run.target.succeeded()) check("the record stays for the source that does not know", record, endings(run));
  }
  if (run.source.succeeded() && lasting_identity(scenario_))
    check("no marker of a known outcome", !marker, endings(run));
}

void Judge::clean_rerun(const RunLog& before, const RunLog& run, bool known) {
  if (!run.finished) return;
  const RunLog* delivery = last_delivery_before(&run);
  std::string story = endings(before) + " -> " + endings(run);
  if (known && delivery != nullptr && run.stream == delivery->stream) {
    check("already received", already(run.source) && already(run.target) && run.delivery.started == 0, story);
    return;
  }
  if (known) {
    bool refused = run.source.fault() == Fault::kDifferentStream && run.target.fault() == Fault::kDifferentStream;
    check("another stream of the same identity is refused", refused && run.delivery.started == 0, story);
    return;
  }
  Expectation expectation;
  add_input_faults(expectation.faults, false);
  as_expected(run, expectation);
  if (run.source.succeeded()) check("a fresh transfer", !already(run.source) && transfer_.complete(run), story);
}

void Judge::source_alone(const RunLog& first, const RunLog& second) {
  which_ = "second source";
  if (!second.finished) return;
  if (!second.source.succeeded()) return;
  check("the second source's success is true", transfer_.complete(first), endings(first) + " -> " + endings(second));
  if (already(second.source)) ++tally_["promise | a lingering target answers"];
}

// One run of both ends, and what is to be said of it and of the disks after it.
class Play {
 public:
  Play(const Scenario& scenario, Tally& tally, std::size_t trace_lines, std::string* trace)
      : scenario_(scenario),
        tally_(tally),
        transfer_(scenario, tally),
        judge_(transfer_, tally, broken_),
        trace_(trace) {
    if (trace_lines != 0) transfer_.world().keep_trace(trace_lines);
  }
  std::vector<std::string> go();

 private:
  void run(const Troubles& troubles, std::uint64_t content_seed, const std::string& which);
  void settle(const std::string& which);

  const Scenario& scenario_;
  Tally& tally_;
  std::vector<std::string> broken_;
  Transfer transfer_;
  Judge judge_;
  std::string* trace_;
};

void Play::settle(const std::string& which) {
  if (trace_ != nullptr) *trace_ += which + " is over at this line\n" + transfer_.world().trace() + "\n";
  ++tally_["promise | nothing is left"];
  for (const std::string& what : transfer_.leftovers()) broken_.push_back(which + " left " + what);
}

void Play::run(const Troubles& troubles, std::uint64_t content_seed, const std::string& which) {
  // What went to standard output is anybody's: it is sent again.
  bool to_output =
      scenario_.consumer == Consumer::kStandardOutput || scenario_.consumer == Consumer::kStandardOutputFull;
  bool known = transfer_.marker_on_disk() && transfer_.record_on_disk() && lasting_identity(scenario_) && !to_output;
  transfer_.run_both(troubles, content_seed);
  settle(which);
  const RunLog& run = transfer_.runs().back();
  judge_.any_run(run, which);
  if (!run.finished) return;
  judge_.disks(run);
  if (transfer_.runs().size() == 1) return judge_.first_run(run);
  if (troubles.strikes.empty() && !troubles.producer) judge_.clean_rerun(*(&run - 1), run, known);
}

std::vector<std::string> Play::go() {
  std::uint64_t content_seed = scenario_.seed * 2 + 1;
  if (scenario_.rerun == Rerun::kSourceAtOnce) {
    transfer_.run_with_second_source(content_seed);
    settle("two sources");
    judge_.any_run(transfer_.runs()[0], "first source");
    judge_.source_alone(transfer_.runs()[0], transfer_.runs()[1]);
    return broken_;
  }
  run({scenario_.strikes, !scenario_.producer_good_at_first, true}, content_seed, "first run");
  if (scenario_.rerun == Rerun::kNone) return broken_;
  if (scenario_.rerun == Rerun::kOtherStream) ++content_seed;
  if (scenario_.rerun_trouble && broken_.empty())
    run({scenario_.rerun_trouble->strikes, scenario_.rerun_trouble->bad_producer, false}, content_seed,
        "troubled rerun");
  if (broken_.empty()) run({}, content_seed, "rerun");
  return broken_;
}

}  // namespace

std::vector<std::string> play(const Scenario& scenario, Tally& tally, std::size_t trace_lines, std::string* trace) {
  return Play(scenario, tally, trace_lines, trace).go();
}

}  // namespace zferry::transfer
