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

  void any_run(const RunLog& run, const std::string& which, bool other_stream_before);
  void first_run(const RunLog& run);
  void rerun(const RunLog& before, const RunLog& run, bool marker, bool record);
  void source_alone(const RunLog& first, const RunLog& second);

 private:
  void check(const std::string& promise, bool holds, const std::string& detail) {
    ++tally_["promise | " + promise];
    if (!holds) broken_.push_back(which_ + ": " + promise + ": " + detail);
  }
  void no_false_success(const RunLog& run);
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

bool already(const EndLog& log) {
  return log.succeeded() && *log.report->ending.completion == wire::Completion::kAlreadyReceived;
}

void Judge::any_run(const RunLog& run, const std::string& which, bool delivered_before) {
  which_ = which;
  check("ends in bounded time", run.finished, endings(run));
  if (!run.finished) return;
  ++tally_["ending | source " + (run.source.report ? std::string(facts(run.source.fault()).name) : "crashed")];
  ++tally_["ending | target " + (run.target.report ? std::string(facts(run.target.fault()).name) : "crashed")];
  check("a prefix of the stream, in order, once", !run.delivery.wrong_bytes, endings(run));
  check("the consumer is gone before its target", !run.delivery.still_ran_at_report, endings(run));
  if (!delivered_before) no_false_success(run);
  nothing_committed_on_failure(run);
  only_fitting_faults(run);
  if (!run.link_struck) endings_match(run);
}

void Judge::no_false_success(const RunLog& run) {
  bool whole = transfer_.complete(run);
  if (run.target.succeeded()) check("target's success is true", whole, endings(run));
  if (run.source.succeeded()) {
    check("source's success is true", whole, endings(run));
    check("a record before FINAL-ACK", !run.record_missing_at_final_ack, endings(run));
    check("no success that the target does not share", run.target.crashed || run.target.succeeded(), endings(run));
    check("no success of a failed input",
          scenario_.producer != Producer::kFails || run.source.report->producer == "exit code 0", endings(run));
  }
  if (run.flipped && whole) ++tally_["promise | a flip, and right bytes"];
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
  bool open = run.source.fault() == Fault::kOutcomeUnknown;
  check(open ? "outcome unknown is the one exception" : "the endings match",
        open || run.source.fault() == run.target.fault(), endings(run));
}

void Judge::only_fitting_faults(const RunLog& run) {
  for (const EndLog* log : {&run.source, &run.target}) {
    Fault fault = log->fault();
    bool fits = fault != Fault::kInternal && fault != Fault::kDigestMismatch && fault != Fault::kUsage;
    if (fault == Fault::kProtocol) fits = run.flipped || scenario_.has(Trouble::kBlocksTooLong);
    if (fault == Fault::kInterrupted) fits = run.interrupted || log->interrupted_by_test;
    if (fault == Fault::kNotAllowed) fits = run.link_struck || run.interrupted || scenario_.has(Trouble::kWrongKey);
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
  if (!run.finished || run.link_struck || run.interrupted || scenario_.has(Trouble::kWrongKey)) return;
  if (scenario_.has(Trouble::kBlocksTooLong)) {
    check("blocks too long are refused", run.target.fault() == Fault::kProtocol || run.source.fault() != Fault::kNone,
          endings(run));
    return;
  }
  Expectation expectation;
  add_input_faults(expectation.faults, true);
  add_output_faults(expectation.faults, run);
  if (scenario_.has(Trouble::kTargetState) && !run.target.succeeded()) {
    // One of three places: before meeting, at OPEN, or after delivery.
    if (run.target.met()) expectation.faults.insert(Fault::kStateFailed);
    check("a state folder that fails is named",
          run.target.fault() == Fault::kStateFailed || expectation.faults.count(run.target.fault()), endings(run));
    if (!run.target.met()) return;
  }
  // A consumer that leaves content before anything came has still taken all of nothing.
  expectation.may_succeed = run.stream.empty() && scenario_.consumer == Consumer::kLeavesContent;
  if (run.stream.empty() && scenario_.consumer == Consumer::kLeavesContent)
    expectation.faults.insert(Fault::kConsumerFailed);
  as_expected(run, expectation);
}

void Judge::rerun(const RunLog& before, const RunLog& run, bool marker, bool record) {
  if (!run.finished) return;
  bool same_identity = scenario_.named || (scenario_.stream >= Stream::kZfs);
  bool known = marker && record && same_identity;
  if (record) check("a record means that it is there", transfer_.complete(before), endings(before));
  if (marker) check("a marker means that FINAL went out", before.source.saw_event("stream-whole"), endings(before));
  if (before.source.fault() == Fault::kOutcomeUnknown && !scenario_.has(Trouble::kSourceState))
    check("outcome unknown is written down", marker, endings(before));
  if (before.source.fault() == Fault::kOutcomeUnknown && before.target.succeeded() &&
      !scenario_.has(Trouble::kSourceState))
    check("the record stays for the source that does not know", record, endings(before));
  if (known && run.stream == before.stream) {
    check("already received",
          already(run.source) && already(run.target) && run.delivery.started == 0 && run.delivery.taken == 0,
          endings(before) + " -> " + endings(run));
    return;
  }
  if (known) {
    check("another stream of the same identity is refused",
          run.source.fault() == Fault::kDifferentStream && run.target.fault() == Fault::kDifferentStream &&
              run.delivery.taken == 0,
          endings(run));
    return;
  }
  Expectation expectation;
  add_input_faults(expectation.faults, false);
  as_expected(run, expectation);
  if (run.source.succeeded())
    check("a fresh transfer", !already(run.source) && transfer_.complete(run), endings(before) + " -> " + endings(run));
}

void Judge::source_alone(const RunLog& first, const RunLog& second) {
  which_ = "second source";
  if (!second.finished) return;
  if (!second.source.succeeded()) return;
  check("the second source's success is true", transfer_.complete(first), endings(first) + " -> " + endings(second));
  if (already(second.source)) ++tally_["promise | a lingering target answers"];
}

void play_rerun(Transfer& transfer, Judge& judge, std::uint64_t content_seed, std::vector<std::string>& broken) {
  bool marker = transfer.marker_on_disk();
  bool record = transfer.record_on_disk();
  transfer.run_both(false, content_seed);
  for (const std::string& what : transfer.leftovers()) broken.push_back("left after the rerun: " + what);
  RunLog& before = transfer.runs()[transfer.runs().size() - 2];
  RunLog& run = transfer.runs().back();
  judge.any_run(run, "rerun", marker && record);
  judge.rerun(before, run, marker, record);
}

}  // namespace

std::vector<std::string> play(const Scenario& scenario, Tally& tally, std::size_t trace_lines, std::string* trace) {
  std::vector<std::string> broken;
  Transfer transfer(scenario, tally);
  if (trace_lines != 0) transfer.world().keep_trace(trace_lines);
  Judge judge(transfer, tally, broken);
  std::uint64_t content_seed = scenario.seed * 2 + 1;
  if (scenario.rerun == Rerun::kSourceAtOnce) {
    transfer.run_with_second_source(content_seed);
  } else {
    transfer.run_both(true, content_seed);
  }
  if (trace != nullptr) *trace += "first run over at this line\n" + transfer.world().trace() + "\n";
  std::vector<std::string> left = transfer.leftovers();
  ++tally["promise | nothing is left"];
  for (const std::string& what : left) broken.push_back("left: " + what);
  judge.any_run(transfer.runs()[0], "first run", false);
  if (scenario.rerun == Rerun::kSourceAtOnce) {
    judge.source_alone(transfer.runs()[0], transfer.runs()[1]);
  } else {
    judge.first_run(transfer.runs()[0]);
  }
  bool again = scenario.rerun == Rerun::kBoth || scenario.rerun == Rerun::kOtherStream;
  if (again && broken.empty()) {
    play_rerun(transfer, judge, scenario.rerun == Rerun::kBoth ? content_seed : content_seed + 1, broken);
    if (trace != nullptr) *trace += "rerun over at this line\n" + transfer.world().trace() + "\n";
  }
  return broken;
}

}  // namespace zferry::transfer
