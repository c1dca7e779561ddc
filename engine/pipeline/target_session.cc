#include "pipeline/target_session.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "pipeline/names.h"

namespace zferry::pipeline {

using session::TargetAction;
using session::TargetNews;
using session::TargetState;

TargetSession::TargetSession(Host& host, const TargetSettings& settings, std::string known_only,
                             std::function<void(const Report&)> done)
    : host_(host),
      settings_(settings),
      known_only_(std::move(known_only)),
      done_(std::move(done)),
      driver_(
          host.loop, session::TargetCore(settings.linger),
          {[this](TargetAction action) { act(action); }, [this] { return still_moving(); }, settings.notices.event}),
      packed_pool_(settings.pool_buffers / 2, settings.lane.block_bytes),
      leaf_key_(seal::SecretBytes::random(host.random)) {
  report_.progress.stage = "waiting";
}

TargetSession::~TargetSession() = default;

void TargetSession::fail_to_meet(Error why) { driver_.feed(Event::kLaneLost, {std::move(why)}); }

void TargetSession::interrupt(int signal_number) {
  driver_.feed(Event::kInterrupted,
               {{Fault::kInterrupted, interrupted_text(signal_number, "target"), "run the same command again"}});
}

// While closing: our last words are still on their way out, over a link that may be slow.
bool TargetSession::still_moving() {
  if (!lane_ || !lane_->closing()) return false;
  return std::exchange(sent_when_asked_, lane_->sent_bytes()) != lane_->sent_bytes();
}

void TargetSession::act(TargetAction action) {
  switch (action) {
    case TargetAction::kStartConsumer: return start_consumer();
    case TargetAction::kDropConsumer: return drop_consumer();
    case TargetAction::kSendOpened: return send_opened(false);
    case TargetAction::kSendOpenedAlready: return send_opened(true);
    case TargetAction::kSendAck: return send_ack();
    case TargetAction::kReleaseTail: report_.progress.stage = "finishing"; return pipeline_->release();
    case TargetAction::kSendFinalAck: {
      wire::Completion how = record_ && !pipeline_ ? wire::Completion::kAlreadyReceived : *core().ending().completion;
      return lane_->send(wire::FrameType::kFinalAck, wire::encode(wire::FinalAck{how, progress().stream_bytes}));
    }
    case TargetAction::kForgetRecord: {
      report_.source_informed = true;
      Status removed = host_.files.state().remove(record_name_);
      if (!removed && settings_.notices.warning) settings_.notices.warning(removed.error().what);
      return;
    }
    case TargetAction::kSendAbort: return send_abort();
    case TargetAction::kCloseLane: return lane_->close();
    case TargetAction::kFinish: return finish();
    case TargetAction::kNoteFault:
    case TargetAction::kNoteBreach:
    case TargetAction::kNoteCrossing:
    case TargetAction::kNoteSuccess:
    case TargetAction::kCount: return;  // the core's own
  }
}

void TargetSession::lane_up(EstablishedLane established) {
  LaneEvents events;
  events.message = [this](wire::FrameType type, ConstBytes bytes) { lane_message(type, bytes); };
  events.block = [this](const wire::Block& header, flow::Slice packed) {
    if (core().state() == TargetState::kAborting) return;
    if (core().state() != TargetState::kReceiving)
      return broke({Fault::kProtocol, "the source sent a block out of turn", {}});
    pipeline_->take(header, std::move(packed));
  };
  events.broke = [this](Error why) { broke(std::move(why)); };
  events.drained = [this] {
    if (std::exchange(ack_waits_, false) && core().state() == TargetState::kReceiving) send_ack();
  };
  events.lost = [this](Error why) { driver_.feed(Event::kLaneLost, {std::move(why)}); };
  events.closed = [this] { driver_.feed(Event::kLaneClosed); };
  lane_ = std::make_unique<Lane>(host_, settings_.lane, std::move(established), packed_pool_, std::move(events));
  report_.peer = lane_->peer();
  report_.cipher = seal::cipher_name(lane_->cipher());
  lane_->start();
  driver_.feed(Event::kLaneUp);
}

// A message is acted on at its turn, by the state of then. The source's ABORT overtakes what waits: the lane may be
// over with it, and what this end would say then nobody hears, so both ends name the source's fault.
void TargetSession::lane_message(wire::FrameType type, ConstBytes bytes) {
  if (type == wire::FrameType::kAbort) {
    auto abort = wire::decode_abort(bytes);
    if (!abort) return broke(abort.take_error());
    return driver_.overtake(
        Event::kPeerAborted,
        {{abort->fault, "the source says: " + escaped(abort->text, limits::kErrorTextBytesMax), {}}});
  }
  driver_.later([this, type, copy = std::vector<std::byte>(bytes.begin(), bytes.end())] { serve_message(type, copy); });
}

void TargetSession::serve_message(wire::FrameType type, ConstBytes bytes) {
  auto breach = [this](Error error) { driver_.step(Event::kPeerBroke, {std::move(error)}); };
  switch (type) {
    case wire::FrameType::kOpen: {
      auto open = wire::decode_open(bytes);
      return open ? got_open(*open) : breach(open.take_error());
    }
    case wire::FrameType::kFinal: {
      auto final = wire::decode_final(bytes);
      return final ? got_final(*final) : breach(final.take_error());
    }
    case wire::FrameType::kDone: {
      Status empty = wire::decode_empty(bytes, "DONE");
      return empty ? driver_.step(Event::kDone) : breach(empty.take_error());
    }
    default: return breach({Fault::kProtocol, "the source sent a " + std::string(wire::frame_type_name(type)), {}});
  }
}

void TargetSession::got_open(const wire::Open& open) {
  if (core().state() != TargetState::kAwaitingOpen) return driver_.step(Event::kOpenNew);
  if (open.block_bytes_max > settings_.lane.block_bytes)
    return driver_.step(Event::kPeerBroke,
                        {{Fault::kProtocol, "the source wants longer blocks than this end takes", {}}});
  open_ = open;
  report_.stream_name = escaped(open.name);
  report_.progress.size_hint_bytes = open.size_hint_bytes;
  record_name_ = pipeline::record_name(
      "done", {ConstBytes(open.identity), ConstBytes(lane_->principal()), as_bytes(destination_name(settings_))});
  if (!known_only_.empty() && record_name_ != known_only_)
    return driver_.step(Event::kLocalFailed,
                        {{Fault::kBusy, "this target only waits for the source of the stream that it completed", {}}});
  auto stored = host_.files.state().load(record_name_);
  if (!stored) return driver_.step(Event::kLocalFailed, {stored.take_error()});
  if (record_counts(*stored)) return driver_.step(Event::kOpenKnown);
  if (!known_only_.empty())
    return driver_.step(Event::kLocalFailed,
                        {{Fault::kBusy, "this target has completed a stream and takes no other", {}}});
  // What this run begins to write makes the earlier one's record untrue, whatever becomes of this run.
  if (*stored)
    if (Status removed = host_.files.state().remove(record_name_); !removed)
      return driver_.step(Event::kLocalFailed, {removed.take_error()});
  driver_.step(Event::kOpenNew);
}

// A record counts for a source that does not know its outcome (one that does wants the stream to be received again),
// and only while the destination still has what the record tells of.
bool TargetSession::record_counts(const std::optional<std::vector<std::byte>>& stored) {
  if (!stored || open_.earlier_run == wire::EarlierRun::kNone) return false;
  auto record = decode_completion_record(*stored);
  if (!record) {
    if (settings_.notices.warning) settings_.notices.warning(record.error().what);
    return false;
  }
  if (!destination_still_has(host_, settings_, record->stream_bytes)) return false;
  record_ = *record;
  return true;
}

void TargetSession::start_consumer() {
  auto destination = open_destination(host_, settings_);
  if (!destination) return driver_.feed(Event::kLocalFailed, {destination.take_error()});
  ReceivePipeline::Events events;
  events.progress = [this] { driver_.feed(Event::kProgress); };
  events.finished = [this](wire::Completion how) { delivered(how); };
  events.broke = [this](Error why) { broke(std::move(why)); };
  events.failed = [this](Error why) { driver_.feed(Event::kLocalFailed, {std::move(why)}); };
  std::size_t window = std::max<std::size_t>(settings_.pool_buffers / 2 - 2, 2);
  pipeline_ = std::make_unique<ReceivePipeline>(host_, std::move(*destination), leaf_key_.copy(), open_.block_bytes_max,
                                                window, std::move(events));
  driver_.feed(Event::kConsumerReady);
}

void TargetSession::send_opened(bool already) {
  report_.progress.stage = already ? "comparing" : "streaming";
  wire::Opened opened;
  opened.how = already ? wire::OpenedHow::kAlreadyReceived : wire::OpenedHow::kFromStart;
  if (already) {
    opened.leaf_key = record_->leaf_key;
  } else {
    ConstBytes key = leaf_key_.bytes();
    std::copy(key.begin(), key.end(), opened.leaf_key.begin());
    opened.credit = pipeline_->credit();
  }
  lane_->send(wire::FrameType::kOpened, wire::encode(opened));
}

void TargetSession::send_ack() {
  wire::Ack ack{pipeline_->received(), pipeline_->delivered(), pipeline_->credit()};
  if (ack.received == last_ack_.received && ack.delivered == last_ack_.delivered) return;
  ack_waits_ = !lane_->idle();
  if (ack_waits_) return;
  last_ack_ = ack;
  lane_->send(wire::FrameType::kAck, wire::encode(ack));
}

void TargetSession::got_final(const wire::Final& final) {
  if (core().state() == TargetState::kComparing) return compare(final);
  if (core().state() != TargetState::kReceiving) return driver_.step(Event::kFinalWrong);
  report_.producer = final.producer == wire::ProducerExit::kSuccess ? "exit code 0" : "unknown";
  report_.digest = to_hex(final.digest);
  pipeline_->check_final(final, [this](Status verdict) {
    if (!verdict) return driver_.feed(Event::kFinalWrong, {verdict.take_error()});
    driver_.feed(Event::kFinalRight);
  });
}

void TargetSession::compare(const wire::Final& final) {
  report_.digest = to_hex(final.digest);
  if (final.digest == record_->digest && final.stream_bytes == record_->stream_bytes)
    return driver_.step(Event::kFinalRight, {{Fault::kNone, {}, {}}, wire::Completion::kAlreadyReceived});
  // The record has served: what it tells is told, and another run shall not be stopped by it again.
  Status removed = host_.files.state().remove(record_name_);
  driver_.feed(
      Event::kFinalWrong,
      {{Fault::kDifferentStream,
        "the run whose outcome was open did complete, with another stream of the same name and guid (" +
            std::to_string(record_->stream_bytes) + " bytes, this one " + std::to_string(final.stream_bytes) + ")" +
            (removed ? "" : "; " + removed.error().what),
        "look at what the target has (zfs list -t snapshot -o name,guid); the next run sends the stream anew"}});
}

// The destination has everything. It counts once it is written down: a crash from here on is answered from the record.
void TargetSession::delivered(wire::Completion how) {
  CompletionRecord record;
  record.principal = lane_->principal();
  record.identity = open_.identity;
  ConstBytes key = leaf_key_.bytes();
  std::copy(key.begin(), key.end(), record.leaf_key.begin());
  record.stream_bytes = pipeline_->written_bytes();
  record.digest = pipeline_->digest();
  record.toguid = pipeline_->walker().summary().toguid;
  record.completion = how;
  // Off the loop: a slow disk must not look like a dead link.
  auto saved = std::make_shared<Status>();
  auto job = [saved, &state = host_.files.state(), name = record_name_, bytes = encode(record)] {
    *saved = state.save(name, bytes);
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, saved, how] {
    if (*saved) return driver_.feed(Event::kDelivered, {{Fault::kNone, {}, {}}, how});
    Error error = saved->take_error();
    error.what = "the stream was delivered completely, but that could not be written down: " + error.what;
    driver_.feed(Event::kLocalFailed, {std::move(error)});
  }));
}

void TargetSession::drop_consumer() {
  if (!pipeline_ || dropping_) return;
  report_.progress = progress();
  dropping_ = true;
  pipeline_->drop(lifeline_.guard([this] {
    dropping_ = false;
    if (finish_waits_) finish();
  }));
}

void TargetSession::send_abort() {
  const Error& error = core().ending().error;
  lane_->send(wire::FrameType::kAbort,
              wire::encode(wire::Abort{error.fault, error.what.substr(0, limits::kErrorTextBytesMax)}));
}

Progress TargetSession::progress() const {
  Progress progress = report_.progress;
  if (pipeline_) progress.stream_bytes = pipeline_->written_bytes();
  if (record_ && !pipeline_) progress.stream_bytes = record_->stream_bytes;
  if (lane_) progress.wire_bytes = lane_->received_bytes();
  if (pipeline_ && core().state() == TargetState::kReceiving)
    progress.bottleneck = pipeline_->writing() ? Bottleneck::kTarget : Bottleneck::kLink;
  return progress;
}

Report TargetSession::abandoned() const {
  Report report = report_;
  report.progress = progress();
  bool open = core().state() == TargetState::kDelivering || core().state() == TargetState::kDeliveringAlone;
  report.ending = core().ending();
  report.ending.note_fault(
      {open ? Fault::kOutcomeUnknown : Fault::kInterrupted,
       open ? "the operator ended the target while the consumer had everything and was still finishing"
            : "the operator ended the target at once",
       open ? "look at what the consumer made of it" : "run the same command again"});
  return report;
}

void TargetSession::finish() {
  // The operator's next command must not meet a consumer that still holds the dataset.
  finish_waits_ = dropping_;
  if (finish_waits_) return;
  report_.progress = progress();
  report_.ending = core().ending();
  if (pipeline_)
    for (std::uint64_t count : pipeline_->walker().summary().records) report_.records += count;
  host_.loop.post(lifeline_.guard([this] { done_(report_); }));
}

}  // namespace zferry::pipeline
