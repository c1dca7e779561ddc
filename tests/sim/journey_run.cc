// What the operator does: both commands are run again until the stream has arrived and its source knows.
#include "journey_run.h"

#include <algorithm>
#include <csignal>

#include "transfer_streams.h"
#include "watches.h"

namespace zferry::transfer {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr char kPort[] = "9443";
constexpr char kOutFile[] = "/out/stream";
constexpr std::size_t kRunsMax = 60;
constexpr std::uint64_t kEventsMax = 4'000'000;

Scenario other_of(const Scenario& base) {
  Scenario other = base;
  other.seed += 1'000'003;  // another guid
  return other;
}

}  // namespace

JourneyRun::JourneyRun(const Journey& journey, Tally& tally, std::size_t trace_lines)
    : journey_(journey),
      tally_(tally),
      world_(journey.base.seed),
      source_host_(world_.add_host("source")),
      rival_host_(world_.add_host("rival")),
      target_host_(world_.add_host("target")),
      pending_(journey.strikes) {
  forget_nonces();
  watch_acks([this](const wire::Ack& ack) { judge_ack(ack); });
  if (trace_lines != 0) world_.keep_trace(trace_lines);
  world_.network().link() = journey.base.link;
  std::uint64_t content = journey.base.seed * 2 + 1;
  streams_.push_back(make_stream(journey.base, content));
  streams_.push_back(make_stream(other_of(journey.base), content + 1'000'000));
  for (const SourceShape& shape : journey.shapes) {
    stream_of_shape_.push_back(shape.equal ? streams_.size() : 0);
    if (shape.equal) streams_.push_back(make_changed_stream(journey.base, content, *shape.equal));
  }
}

JourneyRun::~JourneyRun() { watch_acks({}); }

void JourneyRun::prepare_input(io::SimHost& host, std::size_t stream, const SourceShape& shape) {
  io::SimProducer script;
  script.source = io::sim_source(streams_[stream]);
  script.chunk_bytes_max = shape.chunk_bytes;
  script.pipe_bytes = journey_.base.pipe_bytes;
  script.pause_chance = shape.pause_chance;
  script.pause_max = milliseconds(200);
  if (shape.fails) {
    auto stop = static_cast<std::uint64_t>(*shape.fails * static_cast<double>(streams_[stream].size()));
    if (shape.piped)
      script.stream_fails_after_bytes = stop;
    else
      script.stop_after_bytes = stop;
  }
  host.set_standard_input(script);
  host.add_program("zfs-send", script);
}

void JourneyRun::took(std::size_t run, std::uint64_t offset, ConstBytes bytes) {
  TargetRun& target = targets_[run];
  Delivery& delivery = target.delivery;
  bool any = false;
  bool withheld = target.log.saw("receiving", "final-right");
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    const std::vector<std::byte>& whole = streams_[stream];
    bool fits = target.candidates[stream] && offset == delivery.taken && offset + bytes.size() <= whole.size() &&
                std::equal(bytes.begin(), bytes.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset));
    target.candidates[stream] = fits;
    any |= fits;
    withheld |= fits && offset + bytes.size() + limits::kTailBytes <= whole.size();
  }
  delivery.taken = offset + bytes.size();
  check("bytes at the consumer are a prefix", any);
  if (any) check("the tail is withheld until FINAL", withheld);
}

io::SimConsumer JourneyRun::consumer_script(std::size_t run) {
  const Scenario& base = journey_.base;
  io::SimConsumer script;
  script.collect = false;
  script.pipe_bytes = base.pipe_bytes;
  script.chunk_bytes_max = base.producer_chunk_bytes;
  script.exit_delay = base.consumer_exit_delay;
  script.on_bytes = [this, run](std::uint64_t offset, ConstBytes bytes) { took(run, offset, bytes); };
  if (base.consumer == Consumer::kSlow) {
    script.bytes_per_second = base.consumer_bytes_per_second;
    script.pause_chance = 0.1;
    script.pause_max = milliseconds(500);
  }
  if (base.consumer == Consumer::kStalls) {
    script.stall_after_bytes =
        static_cast<std::uint64_t>(static_cast<double>(streams_[0].size()) * base.consumer_stops_share);
    script.stall = base.consumer_stall;
  }
  return script;
}

void JourneyRun::prepare_destination() {
  std::size_t run = targets_.size() - 1;
  io::SimConsumer script = consumer_script(run);
  target_host_.set_standard_output(script);
  target_host_.add_program("zfs-receive", [this, script, run](const std::vector<std::string>&) {
    targets_[run].delivery.started++;
    targets_[run].child = target_host_.child_count();
    check("one consumer a target, whatever is cut or rerun", targets_[run].delivery.started == 1);
    return script;
  });
  target_host_.disk().after_commit = [this, run](const std::string& path) {
    const std::vector<std::byte>& file = target_host_.disk().files[path];
    targets_[run].delivery.started++;
    took(run, 0, file);
    targets_[run].whole = std::find(streams_.begin(), streams_.end(), file) != streams_.end();
  };
}

void JourneyRun::start_target() {
  if (!target_host_.up()) target_host_.restart();
  TargetRun& run = targets_.emplace_back();
  run.candidates.assign(streams_.size(), true);
  prepare_destination();
  const Scenario& base = journey_.base;
  target_ = std::make_unique<TargetSide>(target_host_, base, dh_, base.seed * 4 + 2 + 1024 * targets_.size());
  pipeline::TargetSettings& settings = target_->settings;
  settings.lane = lane_settings(base);
  settings.window_blocks = std::max<std::size_t>(base.pool_buffers / 2 - 2, 2);
  if (base.seed % 3 == 0) settings.window_bytes = (2 + base.seed % 5) * base.block_bytes;
  settings.linger = base.linger;
  settings.hold = journey_.hold;
  settings.lanes = journey_.target_lanes;
  if (base.consumer == Consumer::kFile) {
    settings.out_path = kOutFile;
  } else if (base.consumer != Consumer::kStandardOutput) {
    settings.consumer = {"zfs-receive"};
  }
  settings.meeting.listen = !base.source_listens;
  settings.meeting.endpoint = {base.source_listens ? "source" : "", kPort};
  pipeline::Credentials& credentials = settings.meeting.credentials;
  if (base.with_secret) {
    credentials.secret = fixed_secret('s');
  } else {
    credentials.own = fixed_secret('b');
    credentials.peer = credentials.allowed.emplace_back(dh_.public_of(fixed_secret('a')));
    credentials.allowed.push_back(dh_.public_of(fixed_secret('c')));
  }
  settings.notices.event = [this](std::string_view state, std::string_view event) { on_event(nullptr, state, event); };
  children_at_start_ = target_host_.child_count();
  target_->start(run.log);
}

void JourneyRun::start_source() {
  std::size_t number = std::min(main_runs_++, journey_.shapes.size() - 1);
  if (!source_host_.up()) source_host_.restart();
  main_.host = &source_host_;
  launch(main_, Who::kMain, stream_of_shape_[number], journey_.shapes[number]);
}

void JourneyRun::start_guest(Who who) {
  if (guest_.alive() || journey_.base.source_listens) return;
  guest_.host = &rival_host_;
  SourceShape shape = journey_.shapes.front();
  shape.fails.reset();
  launch(guest_, who, who == Who::kRival ? 0 : 1, shape);
}

void JourneyRun::launch(Place& place, Who who, std::size_t stream, const SourceShape& shape) {
  const Scenario& base = journey_.base;
  prepare_input(*place.host, stream, shape);
  SourceRun& run = sources_.emplace_back();
  run.who = who;
  run.stream = stream;
  run.target_run = targets_.size();
  run.failing_producer = shape.fails.has_value();
  run.met_a_session = main_.alive() && target_ && target_->end && !targets_.empty() &&
                      target_->end->state() == session::TargetState::kReceiving;
  place.run = &run;
  place.side = std::make_unique<SourceSide>(*place.host, base, dh_, base.seed * 4 + 1 + 1024 * sources_.size());
  pipeline::SourceSettings& settings = place.side->settings;
  settings.lane = lane_settings(base);
  settings.pack.mode = shape.pack;
  settings.pack.level = 1;
  settings.pool_buffers = journey_.source_pool;
  settings.give_up_after = journey_.give_up_after;
  settings.lanes = shape.lanes;
  if (!shape.piped) settings.producer = {"zfs-send"};
  if (base.named) settings.session_name = who == Who::kOther ? "weekly" : "nightly";
  settings.meeting.listen = base.source_listens;
  settings.meeting.endpoint = {base.source_listens ? "" : "target", kPort};
  pipeline::Credentials& credentials = settings.meeting.credentials;
  if (base.with_secret) {
    credentials.secret = fixed_secret('s');
  } else {
    credentials.own = fixed_secret(who == Who::kStranger ? 'c' : 'a');
    credentials.peer = credentials.allowed.emplace_back(dh_.public_of(fixed_secret('b')));
  }
  settings.notices.event = [this, at = &place](std::string_view state, std::string_view event) {
    on_event(at, state, event);
  };
  place.side->start(run.log);
}

// An end that is over leaves, as a process does; what it said is judged, and the operator goes on.
void JourneyRun::settle() {
  for (Place* place : {&main_, &guest_}) {
    if (!place->alive() || !place->run->log.over()) continue;
    place->side->end.reset();
    judge_source(*place->run);
    bool ours = place->run->who == Who::kMain || place->run->who == Who::kRival;
    completed_ |= ours && place->run->log.succeeded();
    if (place == &main_) source_over();
  }
  if (target_ && target_->end && targets_.back().log.over()) {
    judge_target(targets_.back());
    target_->end.reset();
    target_over();
  }
  if (completed_) end_idle();
}

void JourneyRun::source_over() {
  const EndLog& log = main_.run->log;
  if (completed_) return;
  if (main_runs_ >= kRunsMax) {
    gave_up_ = true;
    return;
  }
  ++failures_in_a_row_;
  busy_in_a_row_ = log.fault() == Fault::kBusy ? busy_in_a_row_ + 1 : 0;
  different_in_a_row_ = log.fault() == Fault::kDifferentStream ? different_in_a_row_ + 1 : 0;
  // As the messages advise: "end that".
  bool stuck = (busy_in_a_row_ > 6 && !guest_.alive()) || different_in_a_row_ > 1;
  if (stuck && target_ && target_->end) {
    interrupted_by_operator_ = true;
    target_host_.interrupt(SIGINT);
  }
  Duration delay = journey_.shapes[std::min(main_runs_, journey_.shapes.size() - 1)].delay;
  if (failures_in_a_row_ > 3)
    delay += std::min<Duration>(minutes(15), seconds(1LL << std::min(failures_in_a_row_, 20u)));
  world_.after(delay, [this] {
    if (!completed_) start_source();
  });
}

void JourneyRun::target_over() {
  if (completed_ || gave_up_) return;
  if (targets_.size() >= 5 * kRunsMax) {
    gave_up_ = true;
    return;
  }
  bool met = targets_.back().log.met();
  target_failures_in_a_row_ = met ? 0 : target_failures_in_a_row_ + 1;
  Duration delay = milliseconds(500 + world_.random().below(2500));
  delay += std::min<Duration>(minutes(1), seconds((1LL << std::min(target_failures_in_a_row_, 20u)) - 1));
  bring_back_target(delay);
}

// Where the target says that all is well, its operator waits for what the source says.
void JourneyRun::bring_back_target(Duration delay) {
  world_.after(delay, [this] {
    if (completed_) return;
    bool source_ends = main_.alive() && main_.run->log.met();
    if (source_ends && targets_.back().log.succeeded()) return bring_back_target(seconds(5));
    start_target();
  });
}

// The stream is there: nobody needs those who still wait for something.
void JourneyRun::end_idle() {
  if (std::exchange(idle_end_due_, true)) return;
  world_.after(seconds(200) + journey_.base.consumer_stall, [this] {
    interrupted_by_operator_ = true;
    if (main_.alive()) source_host_.interrupt(SIGINT);
    if (!target_ || !target_->end) return;
    check("a target that has completed ends by itself", !targets_.back().log.saw("delivering", "delivered"));
    target_host_.interrupt(SIGINT);
  });
}

bool JourneyRun::over() const {
  bool alive = main_.alive() || guest_.alive() || (target_ && target_->end);
  return gave_up_ || !broken_.empty() || (completed_ && !alive);
}

std::vector<std::string> JourneyRun::play() {
  journey_.base.source_listens ? start_source() : start_target();
  journey_.base.source_listens ? start_target() : start_source();
  auto ended = [this] {
    check_strikes();
    settle();
    return over();
  };
  bool finished = world_.run_until(ended, hours(24 * 20), kEventsMax);
  if (broken_.empty()) {
    check("both ends come to an end, and the stream arrives", finished && !gave_up_, story());
    judge_all();
  }
  tally_["promise | journey: no key and nonce twice"] += nonce_watch().sealed;
  check("no key and nonce twice", nonce_watch().reused == 0);
  return broken_;
}

}  // namespace zferry::transfer
