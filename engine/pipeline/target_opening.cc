// Who may open a session at a target, and how it goes on: for the first time, from a completion record, or where an
// earlier run of the same source stopped. docs/PROTOCOL.md, "Resume" and "Endings".
#include <algorithm>
#include <utility>

#include "pipeline/names.h"
#include "pipeline/target.h"

namespace zferry::pipeline {

using session::TargetState;

static_assert(seal::kChainMarksMax == wire::kMarksMax);

void Target::got_open(Lane& lane, const wire::Open& open) {
  if (open.block_bytes_max > settings_.lane.block_bytes) {
    Error why{Fault::kProtocol, "the source wants longer blocks than this end takes", {}};
    return core().state() == State::kWaiting ? broke(std::move(why)) : link_.refuse(lane, why);
  }
  if (core().state() == State::kWaiting) return open_first(lane, open);
  bool same_stream = open.identity == open_.identity && lane.principal() == principal_ &&
                     open.block_bytes_max == open_.block_bytes_max;
  if (!same_stream) return refuse_open(lane, what_waits(lane), "end that, or take another target");
  open_again(lane, open);
}

void Target::open_first(Lane& lane, const wire::Open& open) {
  bool other = stored_ && (open.identity != open_.identity || lane.principal() != principal_ ||
                           open.block_bytes_max != open_.block_bytes_max);
  if (other)
    return refuse_open(lane, what_waits(lane),
                       "send that first, or give it up at the target: zferry store prune " + settings_.store->folder);
  if (Status looked = find_record(open, lane.principal()); !looked)
    return driver_.step(Event::kLocalFailed, {looked.take_error()});
  newer_run_ = resumed_ = stored_ && open.incarnation != open_.incarnation;
  open_ = open;
  left_.reset();
  principal_ = lane.principal();
  opened_lane_ = lane.id();
  report_.stream_name = escaped(open.name);
  report_.progress.size_hint_bytes = open.size_hint_bytes;
  agree(open);
  bool known = record_counts();
  link_.adopt(lane, known ? seal::SecretBytes(record_->leaf_key) : leaf_key_.copy(), open.incarnation);
  if (known) return driver_.step(Event::kOpenKnown);
  // What this run begins to write makes the earlier one's record untrue, whatever becomes of this run.
  if (std::exchange(record_, std::nullopt))
    if (Status removed = host_.files.state().remove(record_name_); !removed)
      return driver_.step(Event::kLocalFailed, {removed.take_error()});
  record_name_ = done_name(open.identity, lane.principal());
  driver_.step(Event::kOpenNew);
}

// The stream of the session, by a run that may be a newer one.
void Target::open_again(Lane& lane, const wire::Open& open) {
  switch (core().state()) {
    case State::kStarting:
    case State::kReceiving:
      // The same run again lost its lane before it was answered; unless it is that lane which comes to life late, and
      // the run lives on another.
      return challenge(lane, open);
    case State::kDelivering:
      return refuse_open(lane, "the stream has arrived here as a whole, and its consumer has not finished yet",
                         "run the same command again in a moment");
    case State::kLingering:
    case State::kAnswering:
      if (open.earlier_run == wire::EarlierRun::kNone ||
          !destination_still_has(host_, settings_, record_->stream_bytes))
        return refuse_open(lane, "this target has completed that stream and takes no other", "start it again there");
      [[fallthrough]];
    case State::kComparing:
      open_ = open;
      opened_lane_ = lane.id();
      link_.adopt(lane, seal::SecretBytes(record_->leaf_key), open.incarnation);
      return driver_.step(Event::kOpenAgain);
    default: return link_.refuse(lane, {Fault::kBusy, "this target is about to end", {}});
  }
}

// A newer run wants what an older one has. If the older one still speaks, it keeps it: heartbeats come twice a second.
void Target::challenge(Lane& lane, const wire::Open& open) {
  bool waits = challenger_lane_ != 0;
  bool same = open.incarnation == challenger_run_;
  if (waits && !same && open.incarnation != open_.incarnation)
    return refuse_open(lane, what_waits(lane), "try again in a moment");
  if (waits && !same) {
    // Another one is challenging this very run: it asks again when that is decided.
    auto again = [this, id = lane.id(), open] {
      if (Lane* asker = link_.lane(id)) got_open(*asker, open);
    };
    host_.loop.after(limits::kChallenge, lifeline_.guard([this, again] { driver_.later(again); }));
    return;
  }
  challenger_lane_ = lane.id();  // where it waits for its answer: the last that it opened
  challenger_run_ = open.incarnation;
  if (waits) return;
  TimePoint asked = host_.loop.now();
  bool alone = !link_.others_heard_since({}, lane);
  auto judge = [this, open, asked] {
    Lane* asker = link_.lane(std::exchange(challenger_lane_, 0));
    if (asker == nullptr) return;
    if (link_.others_heard_since(asked, *asker))
      return refuse_open(*asker, "another run of this source is sending this stream, and it lives",
                         "let it finish, or end it first");
    if (core().state() != State::kReceiving && core().state() != State::kStarting) return got_open(*asker, open);
    take_over(*asker, open);
  };
  if (alone) return judge();
  host_.loop.after(limits::kChallenge, lifeline_.guard([this, judge] { driver_.later(judge); }));
}

void Target::take_over(Lane& lane, const wire::Open& open) {
  if (open.incarnation != open_.incarnation) newer_run_ = resumed_ = true;
  open_ = open;
  opened_lane_ = lane.id();
  left_.reset();
  agree(open);
  link_.adopt(lane, leaf_key_.copy(), open.incarnation);
  if (core().state() == State::kStarting) return;  // OPENED goes out when the consumer is there
  if (std::exchange(rewinding_, true)) return;     // whoever opened last is answered when it is done
  rewind([this] {
    driver_.later([this] {
      if (core().state() == State::kReceiving) return driver_.step(Event::kOpenAgain);
      // The older run's FINAL was found right at the last moment.
      if (Lane* opener = link_.lane(opened_lane_)) open_again(*opener, open_);
    });
  });
}

void Target::rewind(std::function<void()> done) {
  rewinding_ = true;
  auto incarnation = [this] { return open_.incarnation; };
  intake_.rewind(incarnation,
                 lifeline_.guard([this, done = std::move(done)](const ResumePoint& point, std::uint64_t run) {
                   if (run != open_.incarnation) return rewind(done);  // a still newer one opened meanwhile
                   rewinding_ = false;
                   resume_point_ = point;
                   resumed_run_ = open_.incarnation;
                   resumed_at_ = point.next_number;
                   if (std::exchange(newer_run_, false)) {
                     kept_bytes_ = point.offset;
                     info("a new run of the source continues after " + std::to_string(kept_bytes_) + " bytes");
                   }
                   done();
                 }));
}

void Target::refuse_open(Lane& lane, const std::string& why, const std::string& next) {
  info("refused " + escaped(lane.peer()) + ": " + why);
  link_.refuse(lane, {Fault::kBusy, next.empty() ? why : why + " (" + next + ")", {}});
}

// Names of streams are told to whom they belong.
std::string Target::what_waits(const Lane& asker) const {
  if (asker.principal() != principal_) return "this target is in session with another source";
  if (core().state() == State::kLingering || core().state() == State::kAnswering)
    return "this target has completed " + report_.stream_name + " and takes no other stream";
  return "this target holds " + (report_.stream_name.empty() ? "a stream without a name" : report_.stream_name) + ", " +
         std::to_string(progress().stream_bytes) + " bytes of it so far, and waits for the rest";
}

std::string Target::done_name(const wire::Id& identity, const Principal& principal) const {
  return record_name("done", {ConstBytes(identity), ConstBytes(principal), as_bytes(destination_name(settings_))});
}

std::string Target::told_name(const Principal& principal) const {
  return record_name("told", {ConstBytes(principal), as_bytes(destination_name(settings_))});
}

// What is on disk of this very stream, whether it counts or not.
Status Target::find_record(const wire::Open& open, const Principal& principal) {
  record_.reset();
  told_name_ = told_name(principal);
  for (const std::string& name : {done_name(open.identity, principal), told_name_}) {
    auto stored = host_.files.state().load(name);
    if (!stored) return stored.take_error();
    if (!*stored) continue;
    auto record = decode_completion_record(**stored);
    if (!record) warn(record.error().what);
    if (!record || record->identity != open.identity) continue;
    record_ = *record;
    record_name_ = name;
    break;
  }
  return {};
}

// A record counts for a source that does not know its outcome (one that does wants the stream to be received again),
// and only while the destination still has what the record tells of. Where the source was told, it counts for one that
// says for certain that it does not know: it was killed before it could tell anybody.
bool Target::record_counts() const {
  if (!record_ || open_.earlier_run == wire::EarlierRun::kNone) return false;
  bool told = record_name_ == told_name_;
  if (told && open_.earlier_run != wire::EarlierRun::kOutcomeUnknown) return false;
  return destination_still_has(host_, settings_, record_->stream_bytes);
}

// The target holds longer than the source tries, so that the last attempt still finds it; what no later run can be told
// to be the same is held no longer than that.
void Target::agree(const wire::Open& open) {
  Duration tries = from_wire_seconds(open.give_up_s);
  Duration longer = tries == kForEver ? kForEver : tries + limits::kHoldLonger;
  hold_ = settings_.hold.value_or(std::max<Duration>(longer, limits::kGiveUpAfter));
  if (!open.nameable) hold_ = tries == Duration(0) ? Duration(0) : std::min(hold_, longer);
  auto wanted = [](std::size_t here, std::size_t there) {
    return here == 0 || there == 0 ? here + there : std::min(here, there);
  };
  std::size_t lanes = wanted(settings_.lanes, open.lanes);
  lanes_ =
      static_cast<std::uint8_t>(std::clamp<std::size_t>(lanes == 0 ? limits::kLanesMax : lanes, 1, limits::kLanesMax));
  link_.set_patience(hold_);
  link_.allow_lanes(lanes_);  // the source says how many there are to be
}

void Target::send_opened(bool already) {
  report_.progress.stage = already ? "comparing" : "streaming";
  if (opened_lane_ == 0) return send_ack(true);  // it has joined a session that the store had, and wants no more
  Lane* lane = link_.lane(opened_lane_);
  if (lane == nullptr) return;  // the source will ask again
  // It came between a lane that joined and the consumer that was started for that.
  if (!already && stored_ && resumed_run_ != open_.incarnation) return rewind([this] { send_opened(false); });
  wire::Opened opened;
  opened.lanes = lanes_;
  opened.hold_s = to_wire_seconds(hold_);
  answers_ = already;
  if (already) {
    opened.how = wire::OpenedHow::kAlreadyReceived;
    opened.leaf_key = record_->leaf_key;
    return lane->send(wire::FrameType::kOpened, wire::encode(opened));
  }
  ConstBytes key = leaf_key_.bytes();
  std::copy(key.begin(), key.end(), opened.leaf_key.begin());
  const wire::Ack granted = intake_.ack();
  opened.credit = granted.credit;
  opened.credit_bytes = granted.credit_bytes;
  opened.life = intake_.life();
  opened.chunk_key = intake_.chunk_key();
  const ResumePoint& point = resume_point_;
  if (point.offset > 0) {
    opened.how = wire::OpenedHow::kContinue;
    opened.next_number = point.next_number;
    opened.offset = point.offset;
    for (const seal::ChainMark& mark : point.marks) opened.marks.push_back({mark.stream_bytes, mark.digest});
  }
  lane->send(wire::FrameType::kOpened, wire::encode(opened));
}

}  // namespace zferry::pipeline
