#include "pipeline/link.h"

#include <algorithm>
#include <utility>

namespace zferry::pipeline {
namespace {

std::string for_so_long(Duration time) {
  auto whole = static_cast<long>(seconds(time));
  if (whole >= 2 * 3600) return std::to_string(whole / 3600) + " h";
  return whole >= 120 ? std::to_string(whole / 60) + " min" : std::to_string(whole) + " s";
}

}  // namespace

Link::Link(Host& host, const MeetingSettings& meeting, const LaneSettings& lane, wire::Role role,
           flow::BufferPool& pool, const Notices& notices, Events events)
    : host_(host),
      meeting_(meeting),
      settings_(lane),
      role_(role),
      pool_(pool),
      notices_(notices),
      pacer_(std::make_shared<Pacer>(lane.rate_bytes_per_s)),
      events_(std::move(events)),
      last_heard_(host.loop.now()),
      backoff_(limits::kRedialFirst) {}

Link::~Link() {
  host_.loop.cancel(dial_timer_);
  host_.loop.cancel(patience_timer_);
  host_.loop.cancel(rate_timer_);
}

// The limit may go by the hour, or stand in a file that somebody changes.
void Link::look_at_rate() {
  if (!settings_.rate_now) return;
  rate_timer_ = host_.loop.after(std::chrono::seconds(1), lifeline_.guard([this] { look_at_rate(); }));
  auto rate = settings_.rate_now();
  std::string trouble = rate ? "" : rate.error().what;
  if (std::exchange(rate_trouble_, trouble) != trouble && !trouble.empty() && notices_.warning)
    notices_.warning(trouble + "; the limit stays as it was");
  if (!rate || *rate == pacer_->rate()) return;
  pacer_->set_rate(*rate);
  if (notices_.info)
    notices_.info(*rate == 0 ? "no limit from now on" : "the limit is " + std::to_string(*rate) + " bytes a second");
}

void Link::start() {
  look_at_rate();
  if (!meeting_.listen) return dial();
  Reception::Events events;
  events.busy = [this](bool joins) { return busy(joins); };
  events.lane_up = [this](EstablishedLane lane) { admit(std::move(lane)); };
  reception_ = std::make_unique<Reception>(host_, meeting_, settings_, role_, notices_, std::move(events));
  if (Status listening = reception_->start(); !listening) give_up(listening.take_error());
}

// ---- How lanes come to be.

void Link::dial() {
  auto attempt = dials_.emplace(dials_.end());
  auto done = lifeline_.guard([this, attempt](Result<EstablishedLane> lane) { dialled(attempt, std::move(lane)); });
  *attempt = std::make_unique<Dialling>(host_, meeting_, settings_, role_, ticket_, std::move(done));
  (*attempt)->start();
}

void Link::dialled(Dials::iterator attempt, Result<EstablishedLane> lane) {
  bury(std::move(*attempt));
  dials_.erase(attempt);
  if (closing_ || over_) return;
  if (!lane) {
    last_error_ = lane.error();
    if (!met_) return give_up(lane.take_error());
    if (healthy() == 0 && !goodbye_ && !std::exchange(trouble_told_, true) && notices_.info)
      notices_.info("still trying: " + last_error_.what);
    return keep_up();
  }
  bool fresh = lane->join.fresh();
  bool stale = fresh ? ticket_ != nullptr : !ticket_ || lane->join.incarnation != ticket_->incarnation();
  if (stale || healthy() >= wanted()) return keep_up();
  bool waits = !fresh && role_ == wire::Role::kSource;
  Lane& up = add(std::move(*lane), waits ? Standing::kJoining : Standing::kMember, !fresh);
  if (fresh) {
    came_up(up);
    events_.fresh(up);
  } else if (!waits) {
    came_up(up);
    events_.joined(up);
  }
  if (healthy() >= wanted()) cancel_dials();
  keep_up();
}

// Asked before anybody has proved anything: the proof is judged by admit().
bool Link::busy(bool joins) const {
  if (closing_ || over_) return true;
  if (joins && ticket_)
    return count(Standing::kMember) + count(Standing::kJoining) + count(Standing::kRetiring) >=
           2 * std::max(lanes_, lanes_most_);
  if (role_ == wire::Role::kSource) return healthy() > 0;
  return count(Standing::kVisitor) >= limits::kVisitorsMax;
}

void Link::admit(EstablishedLane lane) {
  if (closing_ || over_) return;
  bool source = role_ == wire::Role::kSource;
  Principal principal = lane.principal;
  bool joins = !lane.join.fresh();
  // It may be a run of the source before this one that the lane was dialled for.
  bool knows_us = joins && ticket_ && lane.join.session == ticket_->session();
  Error wrong = judge(lane);
  // Several may have been told in their handshakes that there is room.
  if (wrong.fault == Fault::kNone && busy(joins)) wrong = {Fault::kBusy, "there are too many lanes", {}};
  if (joins && ticket_ && wrong.fault == Fault::kNone) {
    Lane& up = add(std::move(lane), source ? Standing::kJoining : Standing::kMember, true);
    if (source) return;
    came_up(up);
    return events_.joined(up);
  }
  Standing standing = source ? Standing::kMember : Standing::kVisitor;
  if (wrong.fault != Fault::kNone) standing = Standing::kLeaving;
  Lane& up = add(std::move(lane), standing, false);
  if (wrong.fault != Fault::kNone) {
    refuse(up, wrong);
    if (source && ticket_ && healthy() == 0 && principal == principal_ && !knows_us)
      give_up({Fault::kSessionGone, "the target was started anew and knows nothing of this session",
               "run the same command again"});
    return;
  }
  if (source) came_up(up);
  events_.fresh(up);
}

Error Link::judge(const EstablishedLane& lane) const {
  bool joins = !lane.join.fresh();
  if (role_ == wire::Role::kSource) {
    if (!ticket_)
      return healthy() > 0 ? Error{Fault::kBusy, "this source is in session", {}} : Error{Fault::kNone, {}, {}};
    if (!joins || lane.join.session != ticket_->session())
      return {Fault::kBusy, "this source is in another session", {}};
  }
  if (!joins) return {Fault::kNone, {}, {}};
  if (!ticket_ || lane.join.session != ticket_->session())
    return {Fault::kSessionGone, "this target has no such session: it was started anew, or gave it up", {}};
  if (lane.principal != principal_ || !ticket_->proves(lane.join, lane.transcript))
    return {Fault::kNotAllowed, "the lane could not prove that it belongs to the session", {}};
  if (lane.join.incarnation == ticket_->incarnation()) return {Fault::kNone, {}, {}};
  if (role_ == wire::Role::kSource)
    return {Fault::kSessionGone, "the target knows another run of this source than the one that goes on", {}};
  // What a failing store could not write down, or one that was put back, does not know the latest run.
  if (of_store_)
    return {Fault::kSessionGone, "the target was started anew, and its store does not know this run of the source", {}};
  return {Fault::kFenced, "a newer run of the same stream has taken the session over", {}};
}

Lane& Link::add(EstablishedLane lane, Standing standing, bool joined) {
  std::uint64_t id = ++last_id_;
  if (standing == Standing::kMember || (places_.empty() && standing != Standing::kLeaving)) {
    peer_ = lane.stream->name();
    cipher_ = lane.cipher;
  }
  LaneEvents events;
  events.message = [this, id](wire::FrameType type, ConstBytes bytes) { got_message(id, type, bytes); };
  events.block = [this, id](const wire::Block& header, flow::Slice packed) {
    Place* place = find(id);
    if (place->standing == Standing::kMember) {
      settle();
      return events_.block(*place->lane, header, std::move(packed));
    }
    if (place->standing != Standing::kLeaving)
      refuse(*place->lane, {Fault::kProtocol, "a block came on a lane of no session", {}});
  };
  events.room = [this] { events_.room(); };
  events.drained = [this, id] {
    if (Place* place = find(id); place->standing == Standing::kRetiring) return say_goodbye(*place);
    events_.drained();
  };
  events.broke = [this, id](Error why) {
    Place* place = find(id);
    if (place->standing == Standing::kLeaving) return;
    if (place->standing == Standing::kVisitor) return refuse(*place->lane, std::move(why));
    events_.broke(*place->lane, std::move(why));
  };
  events.lost = [this, id](Error why) { lane_over(id, std::move(why)); };
  events.closed = [this, id] { lane_over(id, {}); };
  auto made = std::make_unique<Lane>(host_, settings_, id, std::move(lane), pool_, std::move(events), pacer_,
                                     places_.size() < limits::kLongReads);
  Place& place = places_.emplace_back(Place{std::move(made), standing, joined, false});
  if (standing != Standing::kMember && standing != Standing::kJoining) place.lane->welcome_blocks(false);
  place.lane->start();
  if (standing == Standing::kJoining) bound_stay(id, standing);
  return *place.lane;
}

// Heartbeats keep a lane alive. Who was hung up on, or says nothing on a lane that waits for its word, does not stay by
// them.
void Link::bound_stay(std::uint64_t id, Standing standing) {
  host_.loop.after(settings_.silence_max, lifeline_.guard([this, id, standing] {
    Place* place = find(id);
    if (place == nullptr || place->standing != standing) return;
    place->lane->abandon({Fault::kLinkLost, place->lane->peer() + " left a lane unused", {}});
  }));
}

void Link::adopt(Lane& lane, const seal::SecretBytes& leaf_key, std::uint64_t incarnation) {
  bool newer = ticket_ && ticket_->incarnation() != incarnation;
  if (!ticket_ || newer) lanes_serial_ = 0;
  ticket_ = std::make_shared<const Ticket>(leaf_key, incarnation);
  of_store_ = false;
  principal_ = lane.principal();
  Place& adopted = *find(lane.id());
  bool was_member = adopted.standing == Standing::kMember;
  adopted.standing = Standing::kMember;
  lane.welcome_blocks(true);
  if (!was_member) came_up(lane);
  for (Place& place : places_) {
    if (&place == &adopted || place.standing == Standing::kVisitor || place.standing == Standing::kLeaving) continue;
    refuse(*place.lane, {newer ? Fault::kFenced : Fault::kSessionGone,
                         newer ? "a newer run of the same stream has taken the session over"
                               : "the session has moved to another lane",
                         {}});
  }
  keep_up();
}

void Link::expect(const Principal& principal, const seal::SecretBytes& leaf_key, std::uint64_t incarnation) {
  ticket_ = std::make_shared<const Ticket>(leaf_key, incarnation);
  of_store_ = true;
  principal_ = principal;
}

// A lane of the session is there: the link is up, and what has been silent for long is not waited for.
void Link::came_up(Lane& lane) {
  TimePoint now = host_.loop.now();
  bool was_silent = true;
  for (const Place& place : places_)
    if (place.lane.get() != &lane && place.standing == Standing::kMember && !silent(*place.lane)) was_silent = false;
  if (met_ && was_silent) {
    ++gone_statistics_.reconnects;
    gone_statistics_.without_link += now - last_heard();
  }
  met_ = true;
  // A target's lane that joined may yet be refused by the source.
  bool certain = role_ == wire::Role::kSource || !find(lane.id())->joined;
  if (std::exchange(down_, false)) {
    up_since_ = now;
    settled_ = false;
  }
  trouble_told_ = false;
  host_.loop.cancel(std::exchange(patience_timer_, 0));
  if (certain) settle();
  peer_ = lane.peer();
  cipher_ = lane.cipher();
  std::vector<std::uint64_t> suspects;
  for (const Place& place : places_)
    if (place.lane.get() != &lane && place.standing == Standing::kMember && silent(*place.lane))
      suspects.push_back(place.lane->id());
  for (std::uint64_t id : suspects)
    if (Place* place = find(id))
      place->lane->abandon({Fault::kLinkLost, place->lane->peer() + " fell silent on a lane, and came on another", {}});
}

// The link is up in earnest: the next outage is one of its own, with all the patience that there is.
void Link::settle() {
  if (std::exchange(settled_, true)) return;
  backoff_ = limits::kRedialFirst;
  next_dial_ = host_.loop.now();
}

// ---- What comes on them.

void Link::got_message(std::uint64_t id, wire::FrameType type, ConstBytes bytes) {
  Place& place = *find(id);
  if (place.standing == Standing::kLeaving || over_) return;
  if (place.joined && !std::exchange(place.spoke, true) && refused_by_peer(place, type, bytes)) return;
  if (place.standing == Standing::kJoining) {
    Lane& lane = *place.lane;
    place.standing = Standing::kMember;
    came_up(*place.lane);
    settle();
    // Its first word, which says what is there, before anything is given to it.
    events_.message(*place.lane, type, bytes);
    events_.joined(*place.lane);
    if (meeting_.listen && ticket_) say_lanes(&lane, false);  // the target may be one that was started anew
    return keep_up();
  }
  if (place.standing == Standing::kMember) settle();
  if (type == wire::FrameType::kLanes && role_ == wire::Role::kTarget && place.standing == Standing::kMember)
    return got_lanes(place, bytes);
  events_.message(*place.lane, type, bytes);
}

// An ABORT as the first word on a lane that wants to join is about the lane, where its fault is about lanes.
bool Link::refused_by_peer(Place& place, wire::FrameType type, ConstBytes bytes) {
  if (type != wire::FrameType::kAbort) return false;
  auto abort = wire::decode_abort(bytes);
  if (!abort) return false;
  bool busy = abort->fault == Fault::kBusy;
  bool final =
      abort->fault == Fault::kSessionGone || abort->fault == Fault::kFenced || abort->fault == Fault::kNotAllowed;
  if (!busy && !final) return false;
  place.lane->close();
  Error why{abort->fault, "the other end says: " + escaped(abort->text, limits::kErrorTextBytesMax), {}};
  last_error_ = why;
  if (of_store_ && abort->fault == Fault::kSessionGone) {
    ticket_.reset();  // the source that is there is of another run: it may open, or tell its own that it is over
    of_store_ = false;
  } else if (final) {
    give_up(why);
  }
  leave(place, std::move(why));
  return true;
}

// ---- How they end.

void Link::lane_over(std::uint64_t id, std::optional<Error> lost) {
  auto found = std::find_if(places_.begin(), places_.end(), [id](const Place& p) { return p.lane->id() == id; });
  if (found == places_.end()) return;
  Standing standing = found->standing;
  Lane& lane = *found->lane;
  gone_statistics_.sent_bytes += lane.sent_bytes();
  gone_statistics_.received_bytes += lane.received_bytes();
  gone_statistics_.acked_bytes += lane.acked_bytes();
  if (standing == Standing::kMember) last_heard_ = std::max(last_heard_, lane.heard());
  gone_.splice(gone_.end(), places_, found);
  host_.loop.post(lifeline_.guard([this] { gone_.clear(); }));
  if (closing_) return report_closed();
  if (over_) return;
  bool was_lost = lost.has_value();
  Error why = lost ? std::move(*lost) : Error{Fault::kLinkLost, lane.peer() + " hung up", {}};
  if (standing != Standing::kLeaving && was_lost) last_error_ = why;
  if (standing == Standing::kVisitor) events_.visitor_left(lane.peer());
  // A lane that retired in good order may yet have taken something along: that its bytes are out and the other end hung
  // up does not say that they arrived.
  bool retired = standing == Standing::kRetiring && (was_lost || role_ == wire::Role::kSource);
  if (standing == Standing::kMember || retired) {
    if (!goodbye_ && (was_lost || standing == Standing::kMember)) ++gone_statistics_.lanes_lost;
    events_.lane_lost(lane);
    if (count(Standing::kMember) == 0) went_down(std::move(why));
  }
  keep_up();
}

void Link::went_down(Error why) {
  if (over_ || closing_ || std::exchange(down_, true)) return;
  TimePoint now = host_.loop.now();
  if (settled_ || now - up_since_ >= limits::kSuspectAfter) {
    settle();
    patient_since_ = now;
  }
  last_error_ = why;
  if (patience_ <= Duration(0)) return give_up(std::move(why));
  events_.down(std::move(why));
  arm_patience();
}

void Link::set_patience(Duration patience) {
  patience_ = patience;
  patient_since_ = host_.loop.now();
  if (down_ && met_ && !over_ && !closing_) arm_patience();
}

void Link::arm_patience() {
  host_.loop.cancel(std::exchange(patience_timer_, 0));
  if (patience_ == kForEver) return;
  Duration passed = host_.loop.now() - patient_since_;
  patience_timer_ = host_.loop.after(std::max(patience_ - passed, Duration(0)), lifeline_.guard([this] {
    patience_timer_ = 0;
    give_up({Fault::kLinkLost, "no link for " + for_so_long(patience_) + " (at last: " + last_error_.what + ")", {}});
  }));
}

void Link::give_up(Error why) {
  if (over_ || closing_) return;
  over_ = true;
  host_.loop.cancel(std::exchange(dial_timer_, 0));
  host_.loop.cancel(std::exchange(patience_timer_, 0));
  events_.lost(std::move(why));
}

void Link::refuse(Lane& lane, const Error& why) {
  lane.send(wire::FrameType::kAbort,
            wire::encode(wire::Abort{why.fault, why.what.substr(0, limits::kErrorTextBytesMax)}));
  lane.close();
  leave(*find(lane.id()), why);
}

void Link::refuse_session(const Error& why) {
  std::vector<Lane*> lanes;
  for (const Place& place : places_)
    if (place.standing == Standing::kMember || place.standing == Standing::kJoining) lanes.push_back(place.lane.get());
  for (Lane* lane : lanes) refuse(*lane, why);
}

// The lane counts for nothing any more, and has a while to hear our last word and to hang up.
void Link::leave(Place& place, Error why) {
  bool was_member = place.standing == Standing::kMember;
  place.standing = Standing::kLeaving;
  place.lane->go_deaf();
  bound_stay(place.lane->id(), Standing::kLeaving);
  // Whoever comes again and again, only to be refused, has no more than so many lanes by it.
  if (count(Standing::kLeaving) > limits::kLanesMax + limits::kVisitorsMax) {
    auto leaving = [](const Place& other) { return other.standing == Standing::kLeaving; };
    std::uint64_t oldest = std::find_if(places_.begin(), places_.end(), leaving)->lane->id();
    host_.loop.post(lifeline_.guard([this, oldest] {
      if (Place* there = find(oldest)) there->lane->abandon({Fault::kLinkLost, "it was refused", {}});
    }));
  }
  if (was_member && count(Standing::kMember) == 0) went_down(std::move(why));
}

void Link::send_everywhere(wire::FrameType type, const wire::Message& message) {
  for (Place& place : places_) {
    bool of_session = place.standing == Standing::kMember || place.standing == Standing::kJoining;
    if (!of_session && (ticket_ || place.standing == Standing::kLeaving)) continue;
    place.lane->drop_waiting_blocks();
    place.lane->send(type, message);
  }
}

void Link::close() {
  if (std::exchange(closing_, true)) return;
  host_.loop.cancel(std::exchange(dial_timer_, 0));
  host_.loop.cancel(std::exchange(patience_timer_, 0));
  cancel_dials();
  for (Place& place : places_) place.lane->close();
  report_closed();
}

void Link::report_closed() {
  if (!places_.empty() || std::exchange(close_reported_, true)) return;
  host_.loop.post(lifeline_.guard([this] { events_.closed(); }));
}

// ---- What the session asks.

Link::Place* Link::find(std::uint64_t id) {
  for (Place& place : places_)
    if (place.lane->id() == id) return &place;
  return nullptr;
}

Lane* Link::lane(std::uint64_t id) {
  Place* place = find(id);
  return place != nullptr && place->standing != Standing::kLeaving ? place->lane.get() : nullptr;
}

bool Link::is_member(const Lane& lane) const {
  for (const Place& place : places_)
    if (place.lane.get() == &lane) return place.standing == Standing::kMember;
  return false;
}

Lane* Link::best() const {
  Lane* best = nullptr;
  auto rank = [this](const Lane& lane) {
    return std::pair(!silent(lane) + (!silent(lane) && lane.idle()), lane.heard());
  };
  for (const Place& place : places_) {
    if (place.standing != Standing::kMember) continue;
    if (best == nullptr || rank(*place.lane) > rank(*best)) best = place.lane.get();
  }
  return best;
}

std::vector<Lane*> Link::carriers() const {
  std::vector<Lane*> lanes;
  for (const Place& place : places_)
    if (place.standing == Standing::kMember && !silent(*place.lane)) lanes.push_back(place.lane.get());
  return lanes;
}

bool Link::others_heard_since(TimePoint moment, const Lane& except) const {
  for (const Place& place : places_)
    if (place.standing == Standing::kMember && place.lane.get() != &except && place.lane->heard() > moment) return true;
  return false;
}

TimePoint Link::last_heard() const {
  TimePoint last = last_heard_;
  for (const Place& place : places_)
    if (place.standing == Standing::kMember && !(place.lane->heard() < last) && silent(*place.lane))
      last = place.lane->heard();
  return last;
}

LinkStatistics Link::statistics() const {
  LinkStatistics all = gone_statistics_;
  for (const Place& place : places_) {
    all.sent_bytes += place.lane->sent_bytes();
    all.received_bytes += place.lane->received_bytes();
    all.acked_bytes += place.lane->acked_bytes();
  }
  return all;
}

}  // namespace zferry::pipeline
