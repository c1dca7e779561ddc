// What the operators do: both commands are run again until the stream has arrived and its source knows.
#include "crash_run.h"

#include <algorithm>
#include <csignal>

#include "base/limits.h"
#include "watches.h"

namespace zferry::transfer {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr char kPort[] = "9443";
constexpr char kOutFile[] = "/out/stream";
constexpr unsigned kFailuresMax = 12;  // of an end, one after the other, with a disk that is in trouble
constexpr Duration kTimeMax = hours(3);
constexpr std::uint64_t kEventsMax = 3'000'000;

}  // namespace

CrashRun::CrashRun(const CrashJourney& journey, Tally& tally, std::size_t trace_lines)
    : journey_(journey),
      tally_(tally),
      world_(journey.base.seed),
      source_host_(world_.add_host("source")),
      target_host_(world_.add_host("target")),
      pending_(journey.strikes) {
  forget_nonces();
  if (trace_lines != 0) world_.keep_trace(trace_lines);
  world_.network().link() = journey.base.link;
  make_streams();
}

CrashRun::~CrashRun() {
  watch_acks({});
  watch_needs({});
}

io::SimConsumer CrashRun::plain_consumer() {
  io::SimConsumer script;
  script.collect = false;
  script.pipe_bytes = journey_.base.pipe_bytes;
  script.chunk_bytes_max = journey_.base.producer_chunk_bytes;
  script.exit_delay = journey_.base.consumer_exit_delay;
  script.bytes_per_second = journey_.base.consumer_bytes_per_second;
  return script;
}

void CrashRun::prepare_destination() {
  if (journey_.sink == CrashSink::kZfs) {
    SimZfsSettings settings;
    settings.group_every = journey_.zfs.group_every;
    settings.sync_time = journey_.zfs.sync_time;
    settings.finish_time = journey_.zfs.finish_time;
    settings.can_sync = journey_.zfs.can_sync;
    settings.import_time = journey_.zfs.import_time;
    if (journey_.zfs.late_start > Duration(0)) {
      settings.pace.stall_after_bytes = 1;
      settings.pace.stall = journey_.zfs.late_start;
    }
    settings.pace = plain_consumer();
    settings.pace.exit_delay = settings.finish_time + milliseconds(1);
    settings.base_guid = journey_.zfs.increment ? 0x1111 : 0;
    zfs_ = std::make_unique<SimZfs>(world_, target_host_, settings);
    zfs_->on_refusal = [this](const std::string& why) {
      // Who had not begun when ZFS was asked where it stands may begin before the next does.
      bool excused = store_lost_ || journey_.disk_trouble() || journey_.zfs.late_start > Duration(0) ||
                     journey_.zfs.import_time > Duration(0) || (zfs_forgot_ && why == "destination exists");
      check("ZFS takes what it is given", excused, why + story());
    };
    zfs_->on_end = [this] {
      check("the tail is withheld until FINAL", std::any_of(targets_.begin(), targets_.end(), [](const EndLog& log) {
              return log.saw("receiving", "final-right");
            }));
    };
    return;
  }
  target_host_.add_program("zfs-receive", [this](const std::vector<std::string>&) {
    io::SimConsumer script = plain_consumer();
    std::size_t child = target_host_.child_count();
    script.on_bytes = [this, child](std::uint64_t offset, ConstBytes bytes) { took(child, offset, bytes); };
    script.exit_after_end = [this](const io::SimChildRecord& record) {
      plain_has_all_ |= record.bytes == stream_.size();
      return io::ExitStatus{false, record.bytes == stream_.size() ? 0 : 1};
    };
    return script;
  });
  target_host_.disk().after_commit = [this](const std::string& path) {
    plain_has_all_ |= target_host_.disk().files[path] == stream_;
    check("a file that is committed is the whole stream", target_host_.disk().files[path] == stream_);
  };
}

void CrashRun::took(std::size_t child, std::uint64_t offset, ConstBytes bytes) {
  bool fits = offset + bytes.size() <= stream_.size() &&
              std::equal(bytes.begin(), bytes.end(), stream_.begin() + static_cast<std::ptrdiff_t>(offset));
  check("bytes at each consumer are a prefix", fits, "child " + std::to_string(child) + story());
  bool tail = offset + bytes.size() + limits::kTailBytes > stream_.size();
  if (fits && tail)
    check("the tail is withheld until FINAL", std::any_of(targets_.begin(), targets_.end(), [](const EndLog& log) {
            return log.saw("receiving", "final-right");
          }));
}

void CrashRun::start_target() {
  // A process that ended leaves nothing: neither its lock nor calls that were under way.
  target_.side.reset();
  if (target_host_.up()) target_host_.crash(io::SimCrash::kKilled);
  target_host_.restart();
  if (zfs_ && journey_.zfs.forgets && target_crashes_ > 0 && !zfs_forgot_) zfs_forgot_ = zfs_->give_up();
  target_.log = &targets_.emplace_back();
  answered_.clear();
  set_up_target();
  pipeline::TargetSettings& settings = target_.side->settings;
  settings.store->capacity_bytes = journey_.capacity_bytes;
  settings.store->end_when_lost = journey_.end_when_lost;
  switch (journey_.sink) {
    case CrashSink::kZfs: settings.consumer = {"zfs", "receive", "-s", "-u", "tank/plain"}; break;
    case CrashSink::kPlain: settings.consumer = {"zfs-receive"}; break;
    case CrashSink::kFile: settings.out_path = kOutFile; break;
  }
  settings.notices.event = [this](std::string_view state, std::string_view event) { on_event(false, state, event); };
  target_.side->start(*target_.log);
}

// What all targets have in common.
void CrashRun::set_up_target() {
  const Scenario& base = journey_.base;
  target_.side = std::make_unique<TargetSide>(target_host_, base, dh_, base.seed * 4 + 2 + 1024 * targets_.size());
  pipeline::TargetSettings& settings = target_.side->settings;
  settings.lane = lane_settings(base);
  settings.window_blocks = std::max<std::size_t>(base.pool_buffers / 2 - 2, 2);
  if (base.seed % 3 == 0) settings.window_bytes = (2 + base.seed % 5) * base.block_bytes;
  settings.linger = base.linger;
  settings.store = {kStore, limits::MiB, false, journey_.segment_bytes, journey_.dedup.scope};
  settings.applied_every = journey_.applied_every;
  settings.revive_after = journey_.revive_after;
  settings.meeting.listen = !base.source_listens;
  settings.meeting.endpoint = {base.source_listens ? "source" : "", kPort};
  pipeline::Credentials& credentials = settings.meeting.credentials;
  if (base.with_secret) {
    credentials.secret = fixed_secret('s');
  } else {
    credentials.own = fixed_secret('b');
    credentials.peer = credentials.allowed.emplace_back(dh_.public_of(fixed_secret('a')));
  }
  settings.notices.warning = [this](const std::string& text) {
    if (world_.tracing()) world_.note("target warns: " + text);
    target_.log->warnings.push_back(text);
  };
  settings.notices.info = [this](const std::string& text) {
    if (world_.tracing()) world_.note("target: " + text);
  };
}

void CrashRun::start_source() {
  source_.side.reset();
  if (source_host_.up()) source_host_.crash(io::SimCrash::kKilled);
  source_host_.restart();
  source_.log = &sources_.emplace_back();
  answered_.clear();
  durable_told_ = 0;
  life_told_ = 0;
  set_up_source(stream_);
  source_.side->settings.session_name = "nightly";
  source_.side->settings.notices.event = [this](std::string_view state, std::string_view event) {
    on_event(true, state, event);
  };
  source_.side->start(*source_.log);
}

void CrashRun::set_up_source(const std::vector<std::byte>& stream) {
  const Scenario& base = journey_.base;
  io::SimProducer script;
  script.source = io::sim_source(stream);
  script.chunk_bytes_max = base.producer_chunk_bytes;
  script.pipe_bytes = base.pipe_bytes;
  script.pause_chance = base.producer_pause_chance;
  script.pause_max = milliseconds(200);
  source_host_.set_standard_input(script);
  source_host_.add_program("zfs-send", script);
  source_.side = std::make_unique<SourceSide>(source_host_, base, dh_, base.seed * 4 + 1 + 1024 * sources_.size());
  pipeline::SourceSettings& settings = source_.side->settings;
  settings.lane = lane_settings(base);
  settings.pack.mode = base.pack;
  settings.pack.level = 1;
  settings.pool_buffers = journey_.source_pool;
  settings.give_up_after = hours(12);
  settings.lanes = journey_.lanes;
  settings.chunk_id_bits = journey_.dedup.id_bits;
  if (!journey_.piped) settings.producer = {"zfs-send"};
  settings.meeting.listen = base.source_listens;
  settings.meeting.endpoint = {base.source_listens ? "" : "target", kPort};
  pipeline::Credentials& credentials = settings.meeting.credentials;
  if (base.with_secret) {
    credentials.secret = fixed_secret('s');
  } else {
    credentials.own = fixed_secret('a');
    credentials.peer = credentials.allowed.emplace_back(dh_.public_of(fixed_secret('b')));
  }
  settings.notices.warning = [this](const std::string& text) {
    if (world_.tracing()) world_.note("source warns: " + text);
  };
  settings.notices.info = [this](const std::string& text) {
    if (world_.tracing()) world_.note("source: " + text);
  };
}

// An end that is over leaves, as a process does; what it said is judged, and the operator goes on.
void CrashRun::settle() {
  if (source_.alive() && source_.log->over()) {
    source_.side->end.reset();
    judge_source(*source_.log);
    // One that was killed when it had forgotten that it did not know needs no other run.
    completed_ |= source_.log->succeeded() || source_.log->forgot_marker();
    source_over();
  }
  if (target_.alive() && target_.log->over()) {
    if (!target_.log->crashed) judge_target(*target_.log);
    target_.side->end.reset();
    target_over();
  }
  if (completed_) end_idle();
}

void CrashRun::source_over() {
  if (completed_) return;
  source_failures_ = source_.log->crashed ? 0 : source_failures_ + 1;
  if (hopeless() && source_failures_ > kFailuresMax) gave_up_ = true;
  Duration delay = journey_.source_delay + seconds(5) * std::min(source_failures_, 10u);
  world_.after(delay, [this] {
    if (!completed_ && !gave_up_) start_source();
  });
}

void CrashRun::target_over() {
  if (completed_) return;
  bool failed = target_.log->report && !target_.log->succeeded();
  target_failures_ = failed ? target_failures_ + 1 : 0;
  if (hopeless() && target_failures_ > kFailuresMax) gave_up_ = true;
  bring_back_target(journey_.target_delay + seconds(1) * std::min(target_failures_, 10u));
}

// Where the target says that all is well, its operator waits for what the source says.
void CrashRun::bring_back_target(Duration delay) {
  world_.after(delay, [this] {
    if (completed_ || gave_up_) return;
    bool source_ends = source_.alive() && source_.log->met();
    if (source_ends && targets_.back().succeeded()) return bring_back_target(seconds(5));
    start_target();
  });
}

// The stream is there: nobody needs those who still wait for something.
void CrashRun::end_idle() {
  if (std::exchange(idle_end_due_, true)) return;
  world_.after(seconds(200), [this] {
    if (source_.alive()) source_host_.interrupt(SIGINT);
    if (target_.alive()) target_host_.interrupt(SIGINT);
  });
}

bool CrashRun::over() const {
  return gave_up_ || !broken_.empty() || (completed_ && !source_.alive() && !target_.alive());
}

// The journey begins: what is counted in it is counted from here on.
void CrashRun::arm() {
  io::SimFolderDisk& disk = target_host_.disk().folders;
  const auto calls_so_far = [&disk](const auto& kind) { return kind ? disk.calls(*kind) : disk.calls(); };
  for (CrashStrike& strike : pending_) {
    if (strike.call != 0) strike.call += calls_so_far(strike.kind);
    if (strike.events != 0) strike.events += world_.events_run();
  }
  for (io::SimFolderFault fault : journey_.faults) {
    fault.number += calls_so_far(fault.kind);
    disk.faults.push_back(fault);
  }
  if (journey_.disk_bytes) disk.capacity_bytes = limits::kStoreReserveBytes + *journey_.disk_bytes;
  disk.on_call = [this](const io::SimFolderCall& call) { on_folder_call(call); };
  watch_acks([this](const wire::Ack& ack) { judge_ack(ack); });
  watch_needs([this](const wire::Need& need) { hear_need(need); });
  last_trouble_ = world_.now();
  prepare_destination();
}

std::vector<std::string> CrashRun::play() {
  const ChunkWatch before = chunk_watch();
  if (!earlier_.empty()) send_earlier();
  arm();
  journey_.base.source_listens ? start_source() : start_target();
  journey_.base.source_listens ? start_target() : start_source();
  auto ended = [this] {
    check_strikes();
    settle();
    return over() || world_.now() - last_trouble_ > kTimeMax;
  };
  world_.run_until(ended, hours(24 * 20), kEventsMax);
  if (broken_.empty()) {
    check("the stream arrives within bounded time", over(), story());
    judge_all();
  }
  tally_["promise | crash: no key and nonce twice"] += nonce_watch().sealed;
  check("no key and nonce twice", nonce_watch().reused == 0);
  count_chunks(before);
  return broken_;
}

}  // namespace zferry::transfer
