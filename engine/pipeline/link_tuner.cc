#include "pipeline/link_tuner.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace zferry::pipeline {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(100);
constexpr Duration kMeasure = std::chrono::milliseconds(500);
constexpr Duration kFar = std::chrono::milliseconds(5);  // a round trip from which on it is a WAN
constexpr Duration kBlockTime = std::chrono::milliseconds(40);
constexpr Duration kVeryLate = std::chrono::milliseconds(400);
constexpr Duration kLateLeast = std::chrono::milliseconds(100);
constexpr double kProducts = 8;  // of bandwidth and delay, that may be under way
constexpr double kMostly = 0.5;
constexpr double kFaster = 1.5;  // a measure: as long as the link is not what limits, it may be faster than was seen
constexpr double kFastest = 8;   // of what was ever seen to arrive, that a link is believed to carry
constexpr Duration kGuessWaitMost = std::chrono::seconds(60);
constexpr double kNearLink = 2e9;  // bytes a second, until it is seen
constexpr double kNews = 0.3;

// Lanes to begin with: further off it takes longer to find out how many help.
std::size_t first_lanes(Duration rtt) {
  if (rtt >= std::chrono::milliseconds(20)) return 4;
  return rtt >= kFar ? 2 : 1;
}

Duration& of(std::array<Duration, kBottlenecks>& held, Bottleneck what) { return held[static_cast<std::size_t>(what)]; }

}  // namespace

LinkTuner::LinkTuner(Host& host, Link& link, const SourceSettings& settings, Wiring wiring)
    : host_(host), link_(link), settings_(settings), wiring_(std::move(wiring)) {}

LinkTuner::~LinkTuner() { host_.loop.cancel(timer_); }

void LinkTuner::start(std::size_t most_lanes) {
  link_.allow_lanes(most_lanes);
  most_lanes_ = most_lanes;
  rtt_ = rtt();
  std::size_t lanes = std::min(settings_.lanes == 0 ? first_lanes(rtt_) : settings_.lanes, most_lanes);
  if (settings_.lanes == 0) count_.emplace(lanes, most_lanes);
  since_ = host_.loop.now();
  last_ = sample();
  link_.set_lanes(lanes);
  started_ = true;
  link_bytes_per_s_ = static_cast<double>(link_.rate_bytes_per_s());
  link_is_guess_ = link_bytes_per_s_ == 0 && rtt_ < kFar;
  if (link_is_guess_) link_bytes_per_s_ = kNearLink;
  // Nearby nobody waits long for a long block.
  std::size_t longest = settings_.lane.block_bytes;
  wiring_.pace(
      {under_way_bytes(), rtt_ < kFar ? longest : std::min(longest, limits::kShortBlockBytes), link_bytes_per_s_, 0});
  arm();
}

// While there is a link.
void LinkTuner::arm() {
  if (timer_ != 0 || !started_) return;
  timer_ = host_.loop.after(kTick, lifeline_.guard([this] {
    timer_ = 0;
    if (link_.carriers().empty()) return;
    arm();
    tick();
  }));
}

void LinkTuner::note() {
  if (!started_) return;
  arm();
  TimePoint now = host_.loop.now();
  of(held_, now_) += now - std::exchange(since_, now);
  now_ = wiring_.bottleneck();
}

LinkTuner::Sample LinkTuner::sample() const {
  return {host_.loop.now(), link_.statistics().acked_bytes, wiring_.stream_bytes(), held_};
}

// The longest of the lanes: that is what the window has to cover.
Duration LinkTuner::rtt() const {
  Duration longest{0};
  for (const Lane* lane : link_.carriers())
    if (auto facts = lane->link_facts()) longest = std::max(longest, facts->rtt_min);
  return longest;
}

// Nearby no lane recovers from losses for long: what is late there waits for a core, and a copy would wait as well. Nor
// does anybody know what is late before there was a measure.
Duration LinkTuner::late() const {
  return rtt_ < kFar || !measured_ ? very_late() : std::max<Duration>(kLateLeast, 2 * rtt_);
}

Duration LinkTuner::very_late() const { return kVeryLate + 4 * rtt_; }

void LinkTuner::tick() {
  rtt_ = rtt();
  wiring_.tick();
  note();
  Sample now = sample();
  // The first measure is wanted soon, but not one of next to nothing: an end that still waits for a core is no slow
  // link.
  const bool soon = !measured_ && now.acked_bytes - last_.acked_bytes >= limits::kBlockBytesMax;
  if (now.at - last_.at >= (soon ? std::max<Duration>(kTick, 4 * rtt_) : kMeasure)) measure(now);
  count_lanes(now);
}

void LinkTuner::measure(const Sample& now) {
  double time_s = seconds(now.at - last_.at);
  auto share = [&](Bottleneck what) {
    auto index = static_cast<std::size_t>(what);
    return seconds(now.held[index] - last_.held[index]) / time_s;
  };
  double acked = static_cast<double>(now.acked_bytes - std::min(now.acked_bytes, last_.acked_bytes)) / time_s;
  double stream = static_cast<double>(now.stream_bytes - std::min(now.stream_bytes, last_.stream_bytes)) / time_s;
  stream_bytes_per_s_ = measured_ && stream < 2 * stream_bytes_per_s_
                            ? stream_bytes_per_s_ + kNews * (stream - stream_bytes_per_s_)
                            : stream;
  measured_ = true;
  acked_bytes_per_s_ = acked;
  look_at_link(now.at, acked, share(Bottleneck::kLink), share(Bottleneck::kCpu));
  if (double limit = static_cast<double>(link_.rate_bytes_per_s()); limit > 0)
    link_bytes_per_s_ = link_bytes_per_s_ > 0 ? std::min(link_bytes_per_s_, limit) : limit;
  bool idle = share(Bottleneck::kSource) + share(Bottleneck::kTarget) > kMostly;
  // A lane that holds up the others looks like a target that does: its window is full.
  link_matters_ = share(Bottleneck::kLink) + share(Bottleneck::kTarget) > kMostly;
  wiring_.pace({under_way_bytes(), block_bytes(), link_bytes_per_s_, idle ? stream : 0});
  tune_lanes(time_s);
  last_ = now;
}

// How fast the link is can be seen only while it is what limits. While the cores do, it may be faster than was seen:
// that is guessed at, by and by, and what packing does by the guess shows whether it holds. A guess that did not is not
// made again soon.
void LinkTuner::look_at_link(TimePoint now, double acked, double share_of_link, double share_of_cores) {
  if (share_of_link > kMostly) {
    // It may have grown all at once (a lane came), but a dip is but a dip.
    bool disproved = std::exchange(link_is_guess_, false);
    if (disproved) guess_wait_ = std::min<Duration>(2 * guess_wait_, kGuessWaitMost);
    guess_again_ = now + guess_wait_;
    bool all = disproved || acked > link_bytes_per_s_;
    link_bytes_per_s_ = all ? acked : link_bytes_per_s_ + kNews * (acked - link_bytes_per_s_);
  } else if (share_of_cores > kMostly && now >= guess_again_) {
    link_is_guess_ = true;
    fastest_bytes_per_s_ = std::max(fastest_bytes_per_s_, acked);
    double guess = std::max(link_bytes_per_s_, acked) * kFaster;
    link_bytes_per_s_ = std::max(link_bytes_per_s_, std::min(guess, kFastest * fastest_bytes_per_s_));
  }
}

// Enough for lanes that recover from losses to be far behind the others, and for the stages; no more, for what is read
// far ahead of its use is cold by then.
std::size_t LinkTuner::under_way_bytes() const {
  double product = std::max(acked_bytes_per_s_, link_bytes_per_s_) * seconds(rtt_);
  return limits::kUnderWayLeast + static_cast<std::size_t>(std::min(kProducts * product, 1e12));
}

// A block is as long as a lane carries in the time that others may wait for it, lest a slow one holds up the stream;
// where the link is not what limits, it is as long as it can be.
std::size_t LinkTuner::block_bytes() const {
  std::size_t most = settings_.lane.block_bytes;
  if (!link_matters_ || most <= limits::kShortBlockBytes) return most;
  double lanes = static_cast<double>(std::max<std::size_t>(1, link_.carriers().size()));
  // The target says late what it has of the stream; TCP says soon what crossed, and that is never more than it stood
  // for.
  double carried = std::max(stream_bytes_per_s_, acked_bytes_per_s_);
  double bytes = carried / lanes * seconds(kBlockTime);
  auto whole = static_cast<std::size_t>(std::clamp(bytes, static_cast<double>(limits::kShortBlockBytes), 1e9));
  return std::min(std::bit_floor(whole), most);
}

void LinkTuner::count_lanes(const Sample& now) {
  if (!count_) return;
  auto limit = static_cast<double>(link_.rate_bytes_per_s());
  bool paced = limit > 0 && acked_bytes_per_s_ > 0.8 * limit;
  auto held = [&](Bottleneck what) { return paced ? Duration(0) : now.held[static_cast<std::size_t>(what)]; };
  std::size_t wanted = count_->look(
      {now.at, now.acked_bytes, held(Bottleneck::kLink), held(Bottleneck::kTarget), link_.carriers().size(), rtt_});
  link_.set_lanes(wanted);
  if (!count_->settled() || std::exchange(told_lanes_, wanted) == wanted) return;
  wiring_.info(std::to_string(wanted) + (wanted == 1 ? " lane" : " lanes") + " carry " +
               std::to_string(static_cast<long>(count_->bytes_per_s() / 1e6)) + " MB/s: more, or fewer, are no help");
}

// The kernel grows a send buffer by itself up to a limit of the system's. Where that holds a lane back, a further lane
// is the gentler way to more: buffers that are longer than the link fill its queue, until that drops what comes. Where
// there can be no further lane it gets more, as far as what all lanes together may have in the kernel.
void LinkTuner::tune_lanes(double time_s) {
  std::vector<Lane*> lanes = link_.carriers();
  for (std::size_t at = 0; at < lanes.size() && at < seen_.size(); ++at) {
    auto facts = lanes[at]->link_facts();
    if (!facts) continue;
    Seen before = std::exchange(seen_[at], {lanes[at]->id(), facts->acked_bytes, facts->buffer_limited});
    if (before.lane != lanes[at]->id()) continue;
    if (link_matters_)
      lanes[at]->set_pace(static_cast<double>(std::max(facts->acked_bytes, before.acked_bytes) - before.acked_bytes) /
                          time_s);
    bool limited = seconds(facts->buffer_limited - before.buffer_limited) > kMostly * time_s;
    if (!limited || (count_ && lanes.size() < most_lanes_)) continue;
    std::size_t most = std::max(limits::kLaneKernelBytes, limits::kKernelBytesLeast / lanes.size());
    lanes[at]->wish({{}, std::min(most, 2 * facts->send_buffer_bytes), 0});
  }
}

void LinkTuner::joined(Lane& lane) {
  arm();
  auto facts = lane.link_facts();
  if (!facts) return;
  const std::string& wanted = settings_.congestion;
  bool by_distance = wanted.empty();
  if (wanted == "system" || (by_distance && facts->rtt < kFar)) return;
  std::string name = by_distance ? "bbr" : wanted;
  if (facts->congestion != name) lane.wish({name, 0, 0});
  if (std::exchange(told_congestion_, true)) return;
  auto after = lane.link_facts();
  if (!after) return;
  if (after->congestion != name)
    return wiring_.info("congestion control is " + after->congestion + ": this kernel does not give us " + name);
  wiring_.info("congestion control is " + name +
               (facts->congestion == name ? ", the system's own" : ", asked for in place of " + facts->congestion));
}

}  // namespace zferry::pipeline
