#include "transfer_run.h"

#include <algorithm>
#include <csignal>

#include "transfer_end.h"
#include "transfer_streams.h"

namespace zferry::transfer {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr char kPort[] = "9443";
constexpr char kOutFile[] = "/out/stream";

bool has_record(const io::SimDisk& disk, std::string_view kind) {
  return std::any_of(disk.records.begin(), disk.records.end(),
                     [&](const auto& entry) { return entry.first.starts_with(kind); });
}

}  // namespace

bool EndLog::saw_event(const std::string& event) const {
  return std::any_of(rows.begin(), rows.end(), [&](const std::string& row) { return row.ends_with(" | " + event); });
}

Transfer::Transfer(const Scenario& scenario, Tally& tally)
    : scenario_(scenario),
      tally_(tally),
      world_(scenario.seed),
      source_host_(world_.add_host("source")),
      target_host_(world_.add_host("target")) {
  world_.network().link() = scenario.link;
  runs_.reserve(8);  // the logs stay where they are
  world_.network().on_connection([this](io::SimConnection& connection) {
    bool first = std::exchange(first_connection_, false);
    for (const Strike& planned : troubles_.strikes)
      if (first && planned.fault.after_bytes) connection.inject(planned.fault);
  });
}

Transfer::~Transfer() = default;

bool Transfer::complete(const RunLog& run) const {
  bool to_output =
      scenario_.consumer == Consumer::kStandardOutput || scenario_.consumer == Consumer::kStandardOutputFull;
  // What takes our standard output on a machine that lost its power is gone with it, and nobody can promise otherwise.
  if (to_output && run.target_lost_power) return run.target.saw("receiving", "final-right");
  if (to_output) return run.delivery.taken == run.stream.size() && !run.delivery.wrong_bytes;
  return run.delivery.applied;
}

bool Transfer::marker_on_disk() const { return has_record(source_host_.disk(), "unknown-"); }
bool Transfer::record_on_disk() const {
  return has_record(target_host_.disk(), "done-") || has_record(target_host_.disk(), "told-");
}

void Transfer::prepare_hosts() {
  now().troubles = troubles_;
  for (io::SimHost* host : {&source_host_, &target_host_}) {
    if (!host->up()) host->restart();
    io::SimDisk& disk = host->disk();
    disk.prepare_fails = disk.load_fails = disk.commit_fails = disk.create_fails = false;
    disk.save_fails_at = 0;
    disk.full_after_bytes.reset();
    disk.after_commit = nullptr;
  }
  prepare_input();
  prepare_destination();
  stranger_.reset();
  plan_strikes();
  giving_up_ = false;
  first_connection_ = true;
  events_at_start_ = world_.events_run();
  children_at_start_ = target_host_.child_count();
}

void Transfer::prepare_input() {
  const std::vector<std::byte>& stream = now().stream;
  io::SimProducer script;
  script.source = io::sim_source(stream);
  script.chunk_bytes_max = scenario_.producer_chunk_bytes;
  script.pipe_bytes = scenario_.pipe_bytes;
  script.pause_chance = scenario_.producer_pause_chance;
  script.pause_max = milliseconds(300);
  std::uint64_t stop = stream.size() * scenario_.producer_stops_percent / 100;
  if (troubles_.producer && scenario_.producer == Producer::kFails) script.stop_after_bytes = stop;
  if (troubles_.producer && scenario_.producer == Producer::kKilled) {
    script.stop_after_bytes = stop;
    script.stop_exit = {true, SIGKILL};
  }
  if (troubles_.producer && scenario_.producer == Producer::kPipeFails) script.stream_fails_after_bytes = stop;
  source_host_.set_standard_input(script);
  source_host_.add_program("zfs-send", script);
}

io::SimConsumer Transfer::consumer_script() {
  RunLog& log = runs_[target_run_];
  std::uint64_t size = log.stream.size();
  auto stop = static_cast<std::uint64_t>(static_cast<double>(size) * scenario_.consumer_stops_share);
  io::SimConsumer script;
  script.collect = false;
  script.pipe_bytes = scenario_.pipe_bytes;
  script.chunk_bytes_max = scenario_.producer_chunk_bytes;
  script.exit_delay = scenario_.consumer_exit_delay;
  std::size_t run = target_run_;
  script.on_bytes = [this, run](std::uint64_t offset, ConstBytes bytes) {
    RunLog& of_run = runs_[run];
    bool right = offset == of_run.delivery.taken && offset + bytes.size() <= of_run.stream.size() &&
                 std::equal(bytes.begin(), bytes.end(), of_run.stream.begin() + static_cast<std::ptrdiff_t>(offset));
    if (!right) of_run.delivery.wrong_bytes = true;
    of_run.delivery.taken = offset + bytes.size();
  };
  if (!troubles_.consumer) return script;
  switch (scenario_.consumer) {
    case Consumer::kLeavesContent:
      script.stop_after_bytes = stop;
      script.stop_exit = {false, 0};
      break;
    case Consumer::kLeavesUnhappy: script.stop_after_bytes = stop; break;
    case Consumer::kFailsAtEnd: script.exit = {false, 1}; break;
    case Consumer::kSlow:
      script.bytes_per_second = scenario_.consumer_bytes_per_second;
      script.pause_chance = 0.1;
      script.pause_max = milliseconds(500);
      break;
    case Consumer::kStalls:
      script.stall_after_bytes = stop;
      script.stall = scenario_.consumer_stall;
      break;
    case Consumer::kStandardOutputFull: script.stream_fails_after_bytes = stop; break;
    default: break;
  }
  return script;
}

void Transfer::prepare_destination() {
  io::SimConsumer script = consumer_script();
  target_host_.set_standard_output(script);
  std::size_t run = target_run_;
  target_host_.add_program("zfs-receive", [this, script, run](const std::vector<std::string>&) {
    runs_[run].delivery.started++;
    runs_[run].delivery.taken = 0;
    return script;
  });
  io::SimDisk& disk = target_host_.disk();
  auto stop = static_cast<std::uint64_t>(static_cast<double>(now().stream.size()) * scenario_.consumer_stops_share);
  if (troubles_.consumer && scenario_.consumer == Consumer::kFileFull) disk.full_after_bytes = stop;
  if (troubles_.consumer && scenario_.consumer == Consumer::kCommitFails) disk.commit_fails = true;
  disk.after_commit = [this, run](const std::string& path) {
    Delivery& delivery = runs_[run].delivery;
    delivery.taken = target_host_.disk().files[path].size();
    delivery.wrong_bytes |= target_host_.disk().files[path] != runs_[run].stream;
    delivery.started++;
  };
}

void Transfer::plan_strikes() {
  pending_ = troubles_.strikes;
  for (const Strike& strike : pending_) {
    if (strike.trouble == Trouble::kPortTaken) {
      io::SimHost& host = scenario_.source_listens ? source_host_ : target_host_;
      if (auto listener = host.network().listen({"", kPort})) stranger_ = std::move(*listener);
    }
    if (strike.fault.after_bytes) {
      note_link_trouble(strike.fault);
      now().flipped |= strike.trouble == Trouble::kFlip;
    }
    if (strike.trouble == Trouble::kSourceState || strike.trouble == Trouble::kTargetState) {
      io::SimDisk& disk = (strike.trouble == Trouble::kSourceState ? source_host_ : target_host_).disk();
      if (strike.variant == 0)
        disk.prepare_fails = true;
      else if (strike.variant == 1)
        disk.load_fails = true;
      else
        disk.save_fails_at = disk.saves + 1;
    }
  }
}

void Transfer::start_source() {
  source_ = std::make_unique<SourceSide>(source_host_, scenario_, dh_, scenario_.seed * 4 + 1 + 8 * current_);
  pipeline::SourceSettings& settings = source_->settings;
  settings.lane = lane_settings(scenario_);
  settings.pack.mode = scenario_.pack;
  settings.pack.level = 1;
  settings.pool_buffers = scenario_.pool_buffers;
  settings.give_up_after = Duration(0);
  if (scenario_.producer >= Producer::kRun) settings.producer = {"zfs-send"};
  if (troubles_.producer && scenario_.producer == Producer::kCannotRun) settings.producer = {"no-such-program"};
  if (scenario_.named) settings.session_name = "nightly";
  settings.meeting.listen = scenario_.source_listens;
  settings.meeting.endpoint = {scenario_.source_listens ? "" : "target", kPort};
  pipeline::Credentials& credentials = settings.meeting.credentials;
  if (scenario_.with_secret) {
    credentials.secret = fixed_secret('s');
  } else {
    credentials.own = fixed_secret('a');
    credentials.peer = credentials.allowed.emplace_back(dh_.public_of(fixed_secret('b')));
  }
  settings.notices.event = [this](std::string_view state, std::string_view event) { on_event(true, state, event); };
  settings.notices.warning = [this](const std::string& text) { now().source.warnings.push_back(text); };
  source_->start(now().source);
}

void Transfer::start_target() {
  target_ = std::make_unique<TargetSide>(target_host_, scenario_, dh_, scenario_.seed * 4 + 2 + 8 * current_);
  pipeline::TargetSettings& settings = target_->settings;
  settings.lane = lane_settings(scenario_);
  if (meets(Trouble::kBlocksTooLong)) settings.lane.block_bytes /= 2;
  settings.window_blocks = std::max<std::size_t>(scenario_.pool_buffers / 2 - 2, 2);
  if (scenario_.seed % 3 == 0) settings.window_bytes = (2 + scenario_.seed % 5) * scenario_.block_bytes;
  settings.linger = scenario_.linger;
  settings.hold = Duration(0);
  bool to_file = scenario_.consumer == Consumer::kFile || scenario_.consumer == Consumer::kFileFull ||
                 scenario_.consumer == Consumer::kCommitFails;
  bool to_output =
      scenario_.consumer == Consumer::kStandardOutput || scenario_.consumer == Consumer::kStandardOutputFull;
  if (to_file) settings.out_path = kOutFile;
  if (!to_file && !to_output) settings.consumer = {"zfs-receive"};
  if (troubles_.consumer && scenario_.consumer == Consumer::kCannotRun) settings.consumer = {"no-such-program"};
  settings.meeting.listen = !scenario_.source_listens;
  settings.meeting.endpoint = {scenario_.source_listens ? "source" : "", kPort};
  pipeline::Credentials& credentials = settings.meeting.credentials;
  bool wrong = meets(Trouble::kWrongKey);
  if (scenario_.with_secret) {
    credentials.secret = fixed_secret(wrong ? 'w' : 's');
  } else {
    credentials.own = fixed_secret(wrong ? 'w' : 'b');
    credentials.peer = credentials.allowed.emplace_back(dh_.public_of(fixed_secret('a')));
  }
  settings.notices.event = [this](std::string_view state, std::string_view event) { on_event(false, state, event); };
  target_->start(runs_[target_run_].target);
}

void Transfer::on_event(bool source, std::string_view state, std::string_view event) {
  std::string row = std::string(state) + " | " + std::string(event);
  if (world_.tracing()) world_.note((source ? "SOURCE " : "TARGET ") + row);
  ++tally_[(source ? "source | " : "target | ") + row];
  EndLog& log = source ? now().source : runs_[target_run_].target;
  log.rows.insert(std::move(row));
  if (source && state == "final-sent" && event == "final-ack" && !record_on_disk())
    now().record_missing_at_final_ack = true;
  strike_by_state(source, state, event);
}

void Transfer::strike_by_state(bool source, std::string_view state, std::string_view event) {
  for (std::size_t index = 0; index < pending_.size(); ++index) {
    const Strike due = pending_[index];
    bool now_due = due.when.kind == When::Kind::kState && due.when.source_state == source && due.when.state == state;
    if (due.trouble == Trouble::kFinalAckLost)
      now_due = !source && (event == "delivered" || (state == "comparing" && event == "final-right"));
    if (due.trouble == Trouble::kDoneLost) now_due = source && event == "final-ack";
    if (!now_due) continue;
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index--));
    bool at_once = due.when.at_once || due.trouble == Trouble::kFinalAckLost || due.trouble == Trouble::kDoneLost;
    if (at_once) {
      strike(due);
    } else {
      world_.after(Duration(static_cast<std::int64_t>(world_.random().below(5'000'000))), [this, due] { strike(due); });
    }
  }
}

void Transfer::strike(const Strike& due) {
  switch (due.trouble) {
    case Trouble::kLinkCut:
    case Trouble::kLinkStalls: return strike_link(due.fault);
    case Trouble::kFinalAckLost:
    case Trouble::kDoneLost: {
      io::SimFault fault = due.fault;
      bool to_source = due.trouble == Trouble::kFinalAckLost;
      fault.direction =
          to_source == scenario_.source_listens ? io::SimDirection::kToListener : io::SimDirection::kToDialler;
      return strike_link(fault);
    }
    case Trouble::kSourceCrash:
      if (!source_ || !source_->end) return;
      now().link_struck = runs_[target_run_].link_struck = now().source.crashed = true;
      return source_host_.crash(due.crash);
    case Trouble::kTargetCrash:
      if (!target_ || !target_->end) return;
      now().link_struck = runs_[target_run_].link_struck = runs_[target_run_].target.crashed = true;
      runs_[target_run_].target_lost_power = due.crash == io::SimCrash::kPowerLoss;
      return target_host_.crash(due.crash);
    case Trouble::kSourceInterrupted:
      now().interrupted = runs_[target_run_].interrupted = true;
      if (due.when.at_once && source_ && source_->end) return source_->end->interrupt(SIGTERM);
      return source_host_.interrupt(SIGTERM);
    case Trouble::kTargetInterrupted:
      now().interrupted = runs_[target_run_].interrupted = true;
      if (due.when.at_once && target_ && target_->end) return target_->end->interrupt(SIGINT);
      return target_host_.interrupt(SIGINT);
    default: return;
  }
}

void Transfer::note_link_trouble(const io::SimFault& fault) {
  if (fault.action != io::SimFault::Action::kStall) now().link_struck = runs_[target_run_].link_struck = true;
  if (fault.action == io::SimFault::Action::kStall) now().stalled += fault.stall;
}

void Transfer::strike_link(io::SimFault fault) {
  std::size_t count = world_.network().connection_count();
  if (count == 0) return;
  note_link_trouble(fault);
  io::SimConnection& connection = world_.network().connection(count - 1);
  switch (fault.action) {
    case io::SimFault::Action::kReset: return connection.reset();
    case io::SimFault::Action::kStall: return connection.stall(fault.stall);
    case io::SimFault::Action::kEnd: return connection.end(fault.direction);
    default: return connection.silence();
  }
}

// An end that is over leaves, as a process does; one that died leaves nothing running.
void Transfer::settle(EndLog& log, bool is_source) {
  if (!log.over()) return;
  if (is_source) {
    if (source_) source_->end.reset();
    return;
  }
  if (!target_ || !target_->end) return;
  Delivery& delivery = runs_[target_run_].delivery;
  for (std::size_t index = children_at_start_; index < target_host_.child_count(); ++index) {
    const io::SimChildRecord& child = target_host_.child(index);
    if (!child.exited && log.report) delivery.still_ran_at_report = true;
  }
  bool everything = delivery.taken == runs_[target_run_].stream.size() && !delivery.wrong_bytes;
  if (!target_->settings.consumer.empty())
    delivery.applied = everything && delivery.started == 1 && target_host_.last_child().succeeded();
  else if (!target_->settings.out_path.empty())
    delivery.applied = everything && delivery.started == 1;
  else
    delivery.applied = false;  // complete() looks later
  target_->end.reset();
}

void Transfer::tick() {
  std::uint64_t events = world_.events_run() - events_at_start_;
  for (std::size_t index = 0; index < pending_.size(); ++index) {
    const Strike due = pending_[index];
    bool lost = due.trouble == Trouble::kFinalAckLost || due.trouble == Trouble::kDoneLost;
    if (due.when.kind != When::Kind::kEvents || lost || events < due.when.number) continue;
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index--));
    strike(due);
  }
  settle(now().source, true);
  settle(runs_[target_run_].target, false);
  if (now().source.over() != runs_[target_run_].target.over()) give_up_waiting();
}

// A listener waits for ever for a peer that will not come; its operator does not.
void Transfer::give_up_waiting() {
  bool source_waits = runs_[target_run_].target.over() && !now().source.met();
  bool target_waits = now().source.over() && !runs_[target_run_].target.met();
  if ((!source_waits && !target_waits) || giving_up_) return;
  giving_up_ = true;
  world_.after(seconds(30), [this, source_waits] {
    EndLog& log = source_waits ? now().source : runs_[target_run_].target;
    if (log.over() || log.met()) return;
    log.interrupted_by_test = true;
    (source_waits ? source_host_ : target_host_).interrupt(SIGINT);
  });
}

void Transfer::run_both(const Troubles& troubles, std::uint64_t content_seed) {
  troubles_ = troubles;
  current_ = target_run_ = runs_.size();
  runs_.emplace_back().stream = make_stream(scenario_, content_seed);
  prepare_hosts();
  scenario_.source_listens ? start_source() : start_target();
  scenario_.source_listens ? start_target() : start_source();
  auto over = [this] {
    tick();
    return now().source.over() && now().target.over();
  };
  now().finished = world_.run_until(over, minutes(15) + scenario_.consumer_stall, 1'000'000);
  now().events = world_.events_run() - events_at_start_;
}

void Transfer::run_with_second_source(std::uint64_t content_seed) {
  troubles_ = {scenario_.strikes, true, true};
  current_ = target_run_ = runs_.size();
  runs_.emplace_back().stream = make_stream(scenario_, content_seed);
  prepare_hosts();
  start_target();
  start_source();
  auto source_over = [this] {
    tick();
    return now().source.over();
  };
  bool first_over = world_.run_until(source_over, minutes(15) + scenario_.consumer_stall, 1'000'000);
  RunLog& first = now();
  current_ = runs_.size();
  runs_.emplace_back().stream = first.stream;
  if (!source_host_.up()) source_host_.restart();
  pending_.clear();
  troubles_.producer = false;
  giving_up_ = false;
  prepare_input();
  source_host_.disk().prepare_fails = source_host_.disk().load_fails = false;
  start_source();
  auto all_over = [this, &first] {
    tick();
    return now().source.over() && first.target.over();
  };
  now().finished = world_.run_until(all_over, minutes(15) + scenario_.consumer_stall, 1'000'000);
  first.finished = first_over && now().finished;
  now().events = first.events = world_.events_run() - events_at_start_;
}

std::vector<std::string> Transfer::leftovers() {
  stranger_.reset();
  world_.run_for(seconds(30));
  std::vector<std::string> left;
  for (std::size_t index = 0; index < source_host_.child_count(); ++index)
    if (!source_host_.child(index).exited) left.push_back("a producer");
  for (io::SimHost* host : {&source_host_, &target_host_})
    if (host->up() && !host->network().listen({"", kPort})) left.push_back("a listener on " + host->name());
  return left;
}

}  // namespace zferry::transfer
