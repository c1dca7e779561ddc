#include "pipeline/target.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "pipeline/names.h"

namespace zferry::pipeline {
namespace {

// `zfs receive -s` keeps what it took: its token is how to go on.
std::string after_interrupt(const TargetSettings& settings) {
  if (settings.store) return "run the same command again: the store has what came";
  const std::vector<std::string>& argv = settings.consumer;
  bool keeps = argv.size() > 2 && std::find(argv.begin(), argv.end(), "-s") != argv.end();
  bool receive = std::find(argv.begin(), argv.end(), "receive") != argv.end() ||
                 std::find(argv.begin(), argv.end(), "recv") != argv.end();
  if (!keeps || !receive) return "run the same command again";
  return "run the same command again; if \"zfs get -H -o value receive_resume_token " + argv.back() +
         "\" prints a token, send that at the source: zferry send ... -- zfs send -t TOKEN";
}

// Room for the window, with what buffers are longer than their blocks; and a buffer a lane beyond it: each may hold a
// copy of what another lane brought.
std::size_t packed_buffers(const TargetSettings& settings) {
  std::size_t longest = settings.lane.block_bytes;
  std::size_t window = std::min(settings.window_blocks, (settings.window_bytes + longest - 1) / longest);
  return window + (settings.window_blocks + limits::kGrainsOfBuffer - 1) / limits::kGrainsOfBuffer + limits::kLanesMax +
         limits::kResolvesMax;
}

}  // namespace

using session::TargetAction;
using session::TargetNews;
using session::TargetState;

Target::Target(Host& host, const TargetSettings& settings, std::function<void(const Report&)> done)
    : host_(host),
      settings_(settings),
      done_(std::move(done)),
      driver_(
          host.loop, session::TargetCore(settings.linger),
          {[this](TargetAction action) { act(action); }, [this] { return still_moving(); }, settings.notices.event}),
      packed_pool_(packed_buffers(settings), settings.lane.block_bytes),
      link_(host, settings.meeting, settings.lane, wire::Role::kTarget, packed_pool_, settings.notices, link_events()),
      intake_(host, settings, packed_pool_, intake_events()),
      leaf_key_(seal::SecretBytes::random(host.random)) {
  report_.progress.stage = "waiting";
}

Target::~Target() = default;

void Target::start() {
  // A success that cannot be written down is none: say so before anybody sends anything.
  if (Status prepared = host_.files.state().prepare(); !prepared)
    return driver_.feed(Event::kLinkLost, {prepared.take_error()});
  intake_.open(lifeline_.guard([this](const Status& opened) { opened_store(opened); }));
}

void Target::opened_store(const Status& opened) {
  if (core().state() != State::kWaiting) return;  // interrupted meanwhile
  if (!opened) return driver_.feed(Event::kLinkLost, {opened.error()});
  link_.set_patience(settings_.hold.value_or(limits::kGiveUpAfter));
  if (intake_.found() != nullptr && !take_up(*intake_.found())) return;
  link_.start();
}

// What a process before this one left: its source, if that lives, joins as if nothing had been.
bool Target::take_up(const KeptSession& found) {
  std::string done = done_name(found.open.identity, found.principal);
  auto stored = host_.files.state().load(done);
  if (!stored) {
    driver_.feed(Event::kLinkLost, {stored.take_error()});
    return false;
  }
  std::optional<CompletionRecord> record;
  if (*stored)
    if (auto decoded = decode_completion_record(**stored)) record = *decoded;
  if (record && record->leaf_key == found.leaf_key) {
    // It was complete, and written down, when that process died.
    intake_.forget(lifeline_.guard([this](const Status& forgotten) {
      if (!forgotten) warn(forgotten.error().what);
      link_.start();
    }));
    return false;
  }
  open_ = found.open;
  principal_ = found.principal;
  leaf_key_ = seal::SecretBytes(found.leaf_key);
  record_name_ = done;
  told_name_ = told_name(principal_);
  stored_ = true;
  report_.stream_name = escaped(open_.name);
  report_.progress.size_hint_bytes = open_.size_hint_bytes;
  agree(open_);
  link_.expect(principal_, leaf_key_, open_.incarnation);
  info("the store holds " + (report_.stream_name.empty() ? "a stream" : report_.stream_name) +
       ": going on with it as soon as its source is there");
  return true;
}

void Target::interrupt(int signal_number) {
  driver_.feed(Event::kInterrupted,
               {{Fault::kInterrupted, interrupted_text(signal_number, "target"), after_interrupt(settings_)}});
}

// While closing: our last words are still on their way out, over a link that may be slow.
bool Target::still_moving() {
  if (!link_.closing()) return false;
  std::uint64_t sent = link_.statistics().sent_bytes;
  return std::exchange(sent_when_asked_, sent) != sent;
}

void Target::act(TargetAction action) {
  switch (action) {
    case TargetAction::kStartConsumer: return start_consumer();
    case TargetAction::kDropConsumer: return drop_consumer();
    case TargetAction::kSendOpened: return send_opened(false);
    case TargetAction::kSendOpenedAlready: return send_opened(true);
    case TargetAction::kSendAck: return send_ack(false);
    case TargetAction::kRepeatAck: return send_ack(true);
    case TargetAction::kReleaseTail:
      report_.progress.stage = "finishing";
      link_.set_patience(kForEver);  // from here on the source only hears; what ends the wait is our own linger
      return intake_.release();
    case TargetAction::kSendFinalAck: return send_final_ack();
    case TargetAction::kRetireRecord: report_.source_informed = true; return retire_record();
    case TargetAction::kSendAbort: return send_abort();
    case TargetAction::kCloseLink: return link_.close();
    case TargetAction::kFinish: return finish();
    case TargetAction::kNoteFault:
    case TargetAction::kNoteBreach:
    case TargetAction::kNoteCrossing:
    case TargetAction::kNoteSuccess:
    case TargetAction::kCount: return;  // the core's own
  }
}

Link::Events Target::link_events() {
  Link::Events events;
  events.fresh = [](Lane&) {};  // it will say OPEN
  events.joined = [this](Lane&) { driver_.feed(Event::kLinkBack); };
  events.lane_lost = [this](Lane&) { driver_.feed(Event::kLaneLost); };
  events.leaves = [this](Lane& lane) {
    if (core().state() == State::kReceiving) lane.send(wire::FrameType::kAck, wire::encode(intake_.ack()));
  };
  events.down = [this](const Error& why) { link_down(why); };
  events.lost = [this](Error why) { link_lost(std::move(why)); };
  events.message = [this](Lane& lane, wire::FrameType type, ConstBytes bytes) { lane_message(lane, type, bytes); };
  events.block = [this](Lane& lane, const wire::Block& header, flow::Slice packed) {
    got_block(lane, header, std::move(packed));
  };
  events.room = [] {};
  events.drained = [this] {
    say_needs();
    if (std::exchange(ack_waits_, false) && core().state() == State::kReceiving) send_ack(false);
  };
  events.broke = [this](Lane&, Error why) { broke(std::move(why)); };
  events.visitor_left = [this](const std::string& peer) { info(escaped(peer) + " left before it sent anything"); };
  events.closed = [this] { driver_.feed(Event::kLinkClosed); };
  return events;
}

// Told in its turn: a source that fails says why and hangs up, and then nothing is kept.
void Target::link_down(const Error& why) {
  driver_.feed(Event::kLinkDown);
  driver_.later([this, text = why.what] {
    if (core().state() == State::kReceiving || core().state() == State::kStarting)
      warn((left_ ? left_->what : text) + "; what came is kept, and the same stream from the source continues it");
  });
}

// At its turn: a LEAVE that came before it counts.
void Target::link_lost(Error why) {
  driver_.later([this, why = std::move(why)]() mutable {
    if (left_) why = {left_->fault, left_->what + " and did not come back: " + why.what, {}};
    driver_.step(Event::kLinkLost, {std::move(why)});
  });
}

// A message is acted on at its turn, by the state of then. The source's ABORT overtakes what waits: the lane may be
// over with it, and what this end would say then nobody hears, so both ends name the source's fault.
void Target::lane_message(Lane& lane, wire::FrameType type, ConstBytes bytes) {
  if (type == wire::FrameType::kAbort) return got_abort(lane, bytes);
  if (type == wire::FrameType::kLeave && bytes.empty()) return got_leave(lane);
  std::uint64_t run = link_.is_member(lane) ? open_.incarnation : 0;
  driver_.later([this, id = lane.id(), run, type, copy = std::vector<std::byte>(bytes.begin(), bytes.end())] {
    serve_message(id, run, type, copy);
  });
}

// A visitor's ABORT ends this target only where nothing else is there to end.
void Target::got_abort(Lane& lane, ConstBytes bytes) {
  auto abort = wire::decode_abort(bytes);
  bool ours = link_.is_member(lane) || core().state() == State::kWaiting;
  if (!abort) return ours ? broke(abort.take_error()) : link_.refuse(lane, abort.error());
  std::string text = "the source says: " + escaped(abort->text, limits::kErrorTextBytesMax);
  if (!ours) return info(escaped(lane.peer()) + ": " + text);
  if (untouched()) {
    left_ = Error{abort->fault, text, {}};
    return;
  }
  driver_.overtake(Event::kPeerAborted, {{abort->fault, text, {}}});
}

// A later run has the session and has brought nothing new: what the earlier one brought is not its to lose.
bool Target::untouched() const {
  if (core().state() != State::kReceiving || !resumed_) return false;
  return rewinding_ || intake_.untouched_since(resumed_at_);
}

// At its turn: the OPEN that it follows may still wait for its own.
void Target::got_leave(const Lane& lane) {
  std::uint64_t run = link_.is_member(lane) ? open_.incarnation : 0;
  driver_.later([this, id = lane.id(), run] {
    const Lane* opened = run == 0 ? link_.lane(id) : nullptr;
    bool ours = opened != nullptr ? link_.is_member(*opened) : run != 0 && run == open_.incarnation;
    if (ours) left_ = Error{Fault::kInterrupted, "the source was interrupted", {}};
  });
}

void Target::got_block(Lane& lane, const wire::Block& header, flow::Slice packed) {
  if (core().state() == State::kReceiving && link_.is_member(lane)) return intake_.take(header, std::move(packed));
  // Copies of what is here may come for a while; before OPENED nothing may.
  bool early = core().state() == State::kStarting || core().state() == State::kComparing;
  if (early) broke({Fault::kProtocol, "the source sent a block out of turn", {}});
}

// `run`: which run of the source said it; 0 for a visitor. What the session's own run said counts though its lane be
// gone; a visitor that is gone wants no answer, and a run that was fenced is not heard.
void Target::serve_message(std::uint64_t lane_id, std::uint64_t run, wire::FrameType type, ConstBytes bytes) {
  Lane* lane = link_.lane(lane_id);
  bool ours = run != 0 && run == open_.incarnation;
  auto breach = [&](Error error) {
    if (ours || core().state() == State::kWaiting) return driver_.step(Event::kPeerBroke, {std::move(error)});
    if (lane != nullptr) link_.refuse(*lane, error);
  };
  if (type == wire::FrameType::kOpen) {
    if (lane == nullptr) return;
    auto open = wire::decode_open(bytes);
    return open ? got_open(*lane, *open) : breach(open.take_error());
  }
  if (run != 0 && !ours) return;
  if (!ours)
    return breach(
        {Fault::kProtocol, "the source sent a " + std::string(wire::frame_type_name(type)) + " before OPEN", {}});
  switch (type) {
    case wire::FrameType::kFinal: {
      auto final = wire::decode_final(bytes);
      return final ? got_final(*final) : breach(final.take_error());
    }
    case wire::FrameType::kChunks: {
      auto chunks = wire::decode_chunks(bytes);
      if (!chunks) return breach(chunks.take_error());
      // Said by a run that has sent everything, or before it was told that anybody looks for chunks.
      if (core().state() == State::kReceiving) return intake_.named(*chunks);
      return;
    }
    case wire::FrameType::kDone: {
      Status empty = wire::decode_empty(bytes, "DONE");
      return empty ? driver_.step(Event::kDone) : breach(empty.take_error());
    }
    default: return breach({Fault::kProtocol, "the source sent a " + std::string(wire::frame_type_name(type)), {}});
  }
}

Intake::Events Target::intake_events() {
  Intake::Events events;
  events.progress = [this] { driver_.feed(Event::kProgress); };
  events.finished = [this](wire::Completion how) { delivered(how); };
  events.had_it = [this](const KeptFinal& had) {
    CompletionRecord record;
    record.stream_bytes = had.final.stream_bytes;
    record.digest = had.final.digest;
    record.toguid = had.toguid;
    record.completion = wire::Completion::kApplied;
    had_it_ = true;
    write_down(record);
  };
  events.need = [this] { say_needs(); };
  events.broke = [this](Error why) { broke(std::move(why)); };
  events.failed = [this](Error why) { driver_.feed(Event::kLocalFailed, {std::move(why)}); };
  return events;
}

void Target::start_consumer() {
  KeptSession session;
  session.open = open_;
  session.principal = principal_;
  ConstBytes key = leaf_key_.bytes();
  std::copy(key.begin(), key.end(), session.leaf_key.begin());
  intake_.start(session, [this] { consumer_ready(); });
}

// A run of the source that goes on with what the store has is answered once all of that has been looked at.
void Target::consumer_ready() {
  if (!stored_ || opened_lane_ == 0) return driver_.feed(Event::kConsumerReady);
  rewind([this] { driver_.feed(Event::kConsumerReady); });
}

void Target::send_ack(bool in_any_case) {
  wire::Ack ack;
  // A run that only asks has sent nothing: what the one before it sent is no news of its own.
  if (!answers_) ack = intake_.ack();
  bool news = ack.received != last_ack_.received || ack.delivered != last_ack_.delivered ||
              ack.beyond != last_ack_.beyond || ack.durable != last_ack_.durable || ack.credit != last_ack_.credit ||
              ack.credit_bytes != last_ack_.credit_bytes || ack.keep != last_ack_.keep;
  if (!news && !in_any_case) return;
  if (in_any_case) return repeat_ack(ack);
  Lane* lane = link_.best();
  ack_waits_ = lane != nullptr && !lane->idle();
  if (lane == nullptr || ack_waits_) return;
  last_ack_ = ack;
  lane->send(wire::FrameType::kAck, wire::encode(ack));
}

// As many as go at once; the rest when they are gone: a source may read them as slowly as it likes.
void Target::say_needs() {
  if (core().state() != State::kReceiving) return;
  constexpr int kAtOnce = 32;
  for (Lane* lane : link_.carriers()) {
    if (!lane->idle()) continue;
    for (int said = 0; said < kAtOnce; ++said) {
      std::optional<wire::Need> need = intake_.next_need();
      if (!need) return;
      lane->send(wire::FrameType::kNeed, wire::encode(*need));
    }
  }
}

// On every lane: the source waits for it on each that joins, and one that was said on a lane that died is lost.
void Target::repeat_ack(const wire::Ack& ack) {
  intake_.say_needs_again();
  bool said = false;
  std::vector<Lane*> lanes = link_.carriers();
  if (Lane* silent = lanes.empty() ? link_.best() : nullptr) lanes.push_back(silent);  // it may come back to life
  for (Lane* lane : lanes) {
    if (!lane->idle()) continue;
    lane->send(wire::FrameType::kAck, wire::encode(ack));
    said = true;
  }
  last_ack_ = ack;
  if (said) return;
  ack_waits_ = true;
  last_ack_.received = limits::kBlocksMax;  // so that it is news, whatever it will be
}

void Target::send_final_ack() {
  wire::Completion how = *core().ending().completion;
  link_.expect_goodbye();
  link_.set_patience(kForEver);  // what ends the wait is the linger
  // A run that only asks learns that it was so before.
  if (answers_) how = wire::Completion::kAlreadyReceived;
  // On every lane: the source may have given up the one that looks best from here.
  std::vector<Lane*> lanes = link_.carriers();
  if (Lane* silent = lanes.empty() ? link_.best() : nullptr) lanes.push_back(silent);
  for (Lane* lane : lanes)
    lane->send(wire::FrameType::kFinalAck, wire::encode(wire::FinalAck{how, progress().stream_bytes}));
}

void Target::got_final(const wire::Final& final) {
  switch (core().state()) {
    case State::kComparing:
    case State::kAnswering: return compare(final);
    case State::kLingering:
      if (same_as_record(final)) return driver_.step(Event::kFinalAgain);
      return link_.refuse_session(another_stream(final));
    case State::kReceiving: break;
    default: return driver_.step(Event::kFinalWrong);
  }
  report_.producer = final.producer == wire::ProducerExit::kSuccess ? "exit code 0" : "unknown";
  report_.digest = to_hex(final.digest);
  intake_.check_final(final, [this](Status verdict) {
    if (!verdict) return driver_.feed(Event::kFinalWrong, {verdict.take_error()});
    driver_.feed(Event::kFinalRight);
  });
}

bool Target::same_as_record(const wire::Final& final) const {
  return record_ && final.digest == record_->digest && final.stream_bytes == record_->stream_bytes;
}

Error Target::another_stream(const wire::Final& final) const {
  return {Fault::kDifferentStream,
          "the run whose outcome was open did complete, with another stream of the same name and guid (" +
              std::to_string(record_->stream_bytes) + " bytes, this one " + std::to_string(final.stream_bytes) + ")",
          "look at what the target has (zfs list -t snapshot -o name,guid); the next run sends the stream anew"};
}

void Target::compare(const wire::Final& final) {
  report_.digest = to_hex(final.digest);
  if (same_as_record(final))
    return driver_.step(Event::kFinalRight, {{Fault::kNone, {}, {}}, wire::Completion::kAlreadyReceived});
  Error why = another_stream(final);
  if (core().state() == State::kAnswering) {
    // The run that it tells of may still ask.
    link_.refuse_session(why);
  } else if (Status removed = host_.files.state().remove(record_name_); !removed) {
    // The record has served: what it tells is told, and another run shall not be stopped by it again.
    why.what += "; " + removed.error().what;
  }
  driver_.step(Event::kFinalWrong, {std::move(why)});
}

// The destination has everything. It counts once it is written down: a crash from here on is answered from the record.
void Target::delivered(wire::Completion how) {
  CompletionRecord record;
  record.stream_bytes = intake_.pipeline().stream_bytes();
  record.digest = intake_.pipeline().digest();
  record.toguid = intake_.pipeline().walker().summary().toguid;
  record.completion = how;
  write_down(record);
}

void Target::write_down(const CompletionRecord& outcome) {
  CompletionRecord record = outcome;
  record.principal = principal_;
  record.identity = open_.identity;
  ConstBytes key = leaf_key_.bytes();
  std::copy(key.begin(), key.end(), record.leaf_key.begin());
  // Off the loop: a slow disk must not look like a dead link.
  auto saved = std::make_shared<Status>();
  auto job = [saved, &state = host_.files.state(), name = record_name_, bytes = encode(record)] {
    *saved = state.save(name, bytes);
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, saved, record] {
    if (*saved) {
      record_ = record;
      return intake_.forget(lifeline_.guard([this, how = record.completion](const Status& forgotten) {
        if (!forgotten) warn(forgotten.error().what);
        kept_on_ = !forgotten;
        driver_.feed(Event::kDelivered, {{Fault::kNone, {}, {}}, how});
        // Whoever opened meanwhile waits for another answer than the one that is not needed any more.
        if (had_it_)
          driver_.later([this] {
            if (Lane* opener = link_.lane(opened_lane_)) open_again(*opener, open_);
          });
      }));
    }
    Error error = saved->take_error();
    error.what = "the stream was delivered completely, but that could not be written down: " + error.what;
    driver_.feed(Event::kLocalFailed, {std::move(error)});
  }));
}

// The source knows. Should it be killed before it has told anybody, its next run asks again: the latest record of each
// source and destination is kept for that.
void Target::retire_record() {
  if (kept_on_ || record_name_ == told_name_) return;  // the next process learns from it what the store may let go of
  Status retired = host_.files.state().save(told_name_, encode(*record_));
  if (retired) retired = host_.files.state().remove(record_name_);
  if (!retired) warn(retired.error().what);
}

void Target::drop_consumer() {
  if (!intake_.started() || dropping_) return;
  report_.progress = progress();
  dropping_ = true;
  intake_.drop(lifeline_.guard([this] {
    dropping_ = false;
    if (finish_waits_) finish();
  }));
}

void Target::send_abort() {
  const Error& error = core().ending().error;
  link_.send_everywhere(wire::FrameType::kAbort,
                        wire::encode(wire::Abort{error.fault, error.what.substr(0, limits::kErrorTextBytesMax)}));
}

void Target::info(const std::string& text) const {
  if (settings_.notices.info) settings_.notices.info(text);
}
void Target::warn(const std::string& text) const {
  if (settings_.notices.warning) settings_.notices.warning(text);
}

Progress Target::progress() const {
  Progress progress = report_.progress;
  LinkStatistics link = link_.statistics();
  if (intake_.has_pipeline()) progress.stream_bytes = intake_.written_bytes();
  if (record_ && !intake_.has_pipeline()) progress.stream_bytes = record_->stream_bytes;
  progress.wire_bytes = link.received_bytes;
  progress.found_bytes = intake_.found_bytes();
  progress.resume.skipped_bytes = kept_bytes_;
  progress.resume.reconnects = link.reconnects;
  progress.resume.lanes_lost = link.lanes_lost;
  progress.resume.without_link = link.without_link;
  progress.lanes = link_.carriers().size();
  bool receiving = core().state() == State::kReceiving;
  if (receiving && progress.lanes == 0) progress.stage = "reconnecting";
  if (intake_.has_pipeline() && receiving)
    progress.bottleneck = intake_.writing() ? Bottleneck::kTarget : Bottleneck::kLink;
  return progress;
}

Report Target::abandoned() const {
  Report report = report_;
  report.progress = progress();
  bool open = core().state() == TargetState::kDelivering;
  report.ending = core().ending();
  report.ending.note_fault(
      {open ? Fault::kOutcomeUnknown : Fault::kInterrupted,
       open ? "the operator ended the target while the consumer had everything and was still finishing"
            : "the operator ended the target at once",
       open ? "look at what the consumer made of it" : "run the same command again"});
  return report;
}

void Target::finish() {
  // The operator's next command must not meet a consumer that still holds the dataset.
  finish_waits_ = dropping_;
  if (finish_waits_) return;
  report_.progress = progress();
  report_.peer = link_.peer();
  report_.cipher = seal::cipher_name(link_.cipher());
  report_.ending = core().ending();
  if (intake_.has_pipeline())
    for (std::uint64_t count : intake_.pipeline().walker().summary().records) report_.records += count;
  host_.loop.post(lifeline_.guard([this] { done_(report_); }));
}

}  // namespace zferry::pipeline
