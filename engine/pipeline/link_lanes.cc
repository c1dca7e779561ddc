// How many lanes a link has: dialling what is missing, letting go of what is not wanted any more. docs/PROTOCOL.md,
// "Lanes".
#include <algorithm>
#include <utility>

#include "pipeline/link.h"

namespace zferry::pipeline {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(500);

}  // namespace

// ---- Keeping as many as are wanted.

std::size_t Link::wanted() const { return ticket_ ? lanes_ : 1; }

bool Link::silent(const Lane& lane) const {
  Duration suspect_after = std::min<Duration>(limits::kSuspectAfter, settings_.silence_max / 2);
  return host_.loop.now() - lane.heard() >= suspect_after;
}

std::size_t Link::count(Standing standing) const {
  auto of_it = [standing](const Place& place) { return place.standing == standing; };
  return static_cast<std::size_t>(std::count_if(places_.begin(), places_.end(), of_it));
}

std::size_t Link::healthy() const {
  auto good = [this](const Place& place) {
    return (place.standing == Standing::kMember || place.standing == Standing::kJoining) && !silent(*place.lane);
  };
  return static_cast<std::size_t>(std::count_if(places_.begin(), places_.end(), good));
}

void Link::set_lanes(std::size_t lanes) {
  if (closing_ || over_) return;
  bool news = std::exchange(lanes_, lanes) != lanes;
  if (role_ == wire::Role::kSource && ticket_) {
    if (meeting_.listen && (news || lanes_serial_ == 0)) say_lanes(best(), false);
    retire_some();
  }
  keep_up();
}

// ---- Letting go of those that do not help.

void Link::say_lanes(Lane* lane, bool leaves) {
  if (lane == nullptr) return;
  lane->send(wire::FrameType::kLanes,
             wire::encode(wire::Lanes{++lanes_serial_, static_cast<std::uint8_t>(lanes_), leaves}));
}

// The youngest go first. They get no blocks any more, and hang up when those that they have are out.
void Link::retire_some() {
  auto stays = [this](const Place& place) { return place.standing == Standing::kMember && !silent(*place.lane); };
  auto members = static_cast<std::size_t>(std::count_if(places_.begin(), places_.end(), stays));
  std::size_t surplus = members - std::min(members, lanes_);
  for (auto place = places_.rbegin(); place != places_.rend() && surplus > 0; ++place) {
    if (place->standing != Standing::kMember || silent(*place->lane)) continue;
    place->standing = Standing::kRetiring;
    --surplus;
    if (place->lane->idle()) say_goodbye(*place);
  }
}

void Link::say_goodbye(Place& place) {
  if (place.lane->closing()) return;
  say_lanes(place.lane.get(), true);
  place.lane->close();
  bound_stay(place.lane->id(), Standing::kRetiring);
}

// The source's word: how many this end dials, where it does; and that this lane has carried its last block.
void Link::got_lanes(Place& place, ConstBytes bytes) {
  auto lanes = wire::decode_lanes(bytes);
  if (!lanes) return events_.broke(*place.lane, lanes.take_error());
  if (lanes->serial > lanes_serial_) {
    lanes_serial_ = lanes->serial;
    lanes_ = std::min<std::size_t>(lanes->lanes, std::max<std::size_t>(lanes_most_, 1));
  }
  if (lanes->leaves) {
    events_.leaves(*place.lane);
    place.standing = Standing::kRetiring;
    place.lane->welcome_blocks(false);
    place.lane->close();
    bound_stay(place.lane->id(), Standing::kRetiring);
    events_.drained();  // who waited for this lane to be idle waits no more
    if (count(Standing::kMember) == 0) went_down({Fault::kLinkLost, place.lane->peer() + " left its last lane", {}});
  }
  keep_up();
}

// While no lane lives, one scout at a time looks whether there is a way, a new one each second however long the last
// one takes: its SYN may have been lost just before the link came back. Then all that are missing are dialled.
void Link::keep_up() {
  if (meeting_.listen || closing_ || over_ || !met_) return;
  TimePoint now = host_.loop.now();
  if (!down_ && now - up_since_ >= limits::kSuspectAfter) settle();
  std::size_t alive = healthy();
  // Without patience nothing is dialled in place of a lane that may be slow only: it is waited for.
  if (alive == 0 && patience_ <= Duration(0)) return look_again(kLookAgain);
  auto is_young = [now](const auto& dial) { return now - dial->begun() < limits::kRedialMost; };
  auto young = static_cast<std::size_t>(std::count_if(dials_.begin(), dials_.end(), is_young));
  std::size_t missing = alive == 0 ? 1 : wanted() - std::min(wanted(), alive);
  if (missing <= young) return look_again(kLookAgain);
  if (now < next_dial_) return look_again(next_dial_ - now);
  // A scout that takes too long makes room for the next one; further lanes wait for their turn.
  if (alive == 0 && dials_.size() == limits::kDialsMax) {
    bury(std::move(dials_.front()));
    dials_.pop_front();
  }
  std::size_t count = std::min(missing - young, limits::kDialsMax - dials_.size());
  if (count == 0) return look_again(kLookAgain);
  for (; count > 0; --count) dial();
  // Between three and five quarters of it, so that many ends that lost the same link do not come back as one.
  std::uint16_t dice = 0;
  host_.random.fill(std::as_writable_bytes(std::span(&dice, 1)));
  next_dial_ = now + backoff_ * 3 / 4 + backoff_ * dice / 0x20000;
  backoff_ = std::min<Duration>(backoff_ * 2, limits::kRedialMost);
  look_again(next_dial_ - now);
}

void Link::look_again(Duration delay) {
  host_.loop.cancel(dial_timer_);
  dial_timer_ = host_.loop.after(delay, lifeline_.guard([this] {
    dial_timer_ = 0;
    keep_up();
  }));
}

void Link::cancel_dials() {
  for (auto& dial : dials_) bury(std::move(dial));
  dials_.clear();
}

// It may be what calls us; and until the loop's next turn it may come to its end.
void Link::bury(std::unique_ptr<Dialling> dial) {
  dial->call_off();
  host_.loop.post([dead = std::shared_ptr<Dialling>(std::move(dial))] {});
}

}  // namespace zferry::pipeline
