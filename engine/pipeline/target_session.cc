#include "pipeline/target_session.h"

#include <algorithm>
#include <utility>

#include "pipeline/names.h"

namespace zferry::pipeline {

using session::TargetAction;
using session::TargetNews;
using session::TargetState;

TargetSession::TargetSession(Host& host, const TargetSettings& settings, bool known_only,
                             std::function<void(const Report&)> done)
    : host_(host),
      settings_(settings),
      known_only_(known_only),
      done_(std::move(done)),
      core_(settings.linger),
      packed_pool_(settings.pool_buffers / 2, settings.lane.block_bytes),
      leaf_key_(seal::SecretBytes::random(host.random)) {
  report_.progress.stage = "waiting";
}

TargetSession::~TargetSession() { host_.loop.cancel(deadline_timer_); }

void TargetSession::fail_to_meet(Error why) { feed(Event::kLaneLost, {std::move(why)}); }

void TargetSession::interrupt(int signal_number) {
  feed(Event::kInterrupted,
       {{Fault::kInterrupted, interrupted_text(signal_number, "target"), "run the same command again"}});
}

// Everything that happens comes through here and is served from the loop, one after the other: nothing is ended from
// inside itself. The source's ABORT overtakes what this end has not acted on yet: the lane may be over with it, and what
// this end would say then nobody hears, so both ends name the source's fault.
void TargetSession::feed(Event event, TargetNews news) {
  bool overtakes = event == Event::kPeerAborted && core_.state() != session::TargetState::kConnecting;
  news_.insert(overtakes ? news_.begin() : news_.end(), {event, std::move(news)});
  if (!std::exchange(news_scheduled_, true)) host_.loop.post(lifeline_.guard([this] { serve_news(); }));
}

void TargetSession::serve_news() {
  news_scheduled_ = false;
  while (!news_.empty()) {
    News next = std::move(news_.front());
    news_.pop_front();
    if (settings_.notices.event)
      settings_.notices.event(session::TargetTraits::name(core_.state()), session::TargetTraits::name(next.event));
    for (TargetAction action : core_.on(next.event, next.news, host_.loop.now())) act(action);
    if (core_.state() == TargetState::kEnded) return;
  }
  arm_deadline();
}

void TargetSession::arm_deadline() {
  if (core_.deadline() == armed_for_) return;
  armed_for_ = core_.deadline();
  host_.loop.cancel(deadline_timer_);
  if (armed_for_ == kNever) return;
  deadline_timer_ =
      host_.loop.after(armed_for_ - host_.loop.now(), lifeline_.guard([this] { feed(Event::kDeadline); }));
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
      wire::Completion how = record_ && !pipeline_ ? wire::Completion::kAlreadyReceived : *core_.ending().completion;
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
    default: return;  // what the core noted for itself
  }
}

void TargetSession::lane_up(EstablishedLane established) {
  LaneEvents events;
  events.message = [this](wire::FrameType type, ConstBytes bytes) { lane_message(type, bytes); };
  events.block = [this](const wire::Block& header, flow::Slice packed) {
    if (core_.state() == TargetState::kAborting) return;
    if (!pipeline_) return breach({Fault::kProtocol, "the source sent a block before it was told to", {}});
    pipeline_->take(header, std::move(packed));
  };
  events.lost = [this](Error why) { feed(Event::kLaneLost, {std::move(why)}); };
  events.closed = [this] { feed(Event::kLaneClosed); };
  lane_ = std::make_unique<Lane>(host_, settings_.lane, std::move(established), packed_pool_, std::move(events));
  report_.peer = lane_->peer();
  report_.cipher = seal::cipher_name(lane_->cipher());
  lane_->start();
  feed(Event::kLaneUp);
}

void TargetSession::lane_message(wire::FrameType type, ConstBytes bytes) {
  switch (type) {
    case wire::FrameType::kOpen: {
      auto open = wire::decode_open(bytes);
      return open ? got_open(*open) : breach(open.error());
    }
    case wire::FrameType::kFinal: {
      auto final = wire::decode_final(bytes);
      return final ? got_final(*final) : breach(final.error());
    }
    case wire::FrameType::kDone: {
      Status empty = wire::decode_empty(bytes, "DONE");
      return empty ? feed(Event::kDone) : breach(empty.error());
    }
    case wire::FrameType::kAbort: {
      auto abort = wire::decode_abort(bytes);
      if (!abort) return breach(abort.error());
      return feed(Event::kPeerAborted,
                  {{abort->fault, "the source says: " + escaped(abort->text, limits::kErrorTextBytesMax), {}}});
    }
    default: return breach({Fault::kProtocol, "the source sent a " + std::string(wire::frame_type_name(type)), {}});
  }
}

void TargetSession::got_open(const wire::Open& open) {
  if (core_.state() != TargetState::kAwaitingOpen && core_.state() != TargetState::kConnecting)
    return feed(Event::kOpenNew);
  if (open.block_bytes_max > settings_.lane.block_bytes)
    return breach({Fault::kProtocol, "the source wants longer blocks than this end takes", {}});
  open_ = open;
  report_.stream_name = escaped(open.name);
  report_.progress.size_hint_bytes = open.size_hint_bytes;
  record_name_ = record_name(
      "done", {ConstBytes(open.identity), ConstBytes(lane_->principal()), as_bytes(destination_name(settings_))});
  if (Status prepared = host_.files.state().prepare(); !prepared) return breach(prepared.error());
  auto stored = host_.files.state().load(record_name_);
  if (!stored) return breach(stored.error());
  // A record counts only for a source that does not know its outcome: one that does wants the stream to be received
  // again.
  if (*stored && open.earlier_run != wire::EarlierRun::kNone) {
    auto record = decode_completion_record(**stored);
    if (!record) return breach(record.error());
    record_ = *record;
    return feed(Event::kOpenKnown);
  }
  if (known_only_)
    return breach({Fault::kBusy, "this target only waits for the source of the stream that it completed", {}});
  // What this run begins to write makes the earlier one's record untrue, whatever becomes of this run.
  if (*stored) {
    if (Status removed = host_.files.state().remove(record_name_); !removed) return breach(removed.error());
  }
  feed(Event::kOpenNew);
}

void TargetSession::start_consumer() {
  auto destination = open_destination(host_, settings_);
  if (!destination) return breach(destination.error());
  ReceivePipeline::Events events;
  events.progress = [this] { feed(Event::kProgress); };
  events.finished = [this](wire::Completion how) { delivered(how); };
  events.failed = [this](Error why) { feed(Event::kLocalFailed, {std::move(why)}); };
  std::size_t window = std::max<std::size_t>(settings_.pool_buffers / 2 - 2, 2);
  pipeline_ = std::make_unique<ReceivePipeline>(host_, std::move(*destination), leaf_key_.copy(), open_.block_bytes_max,
                                                window, std::move(events));
  feed(Event::kConsumerReady);
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
  last_ack_ = ack;
  lane_->send(wire::FrameType::kAck, wire::encode(ack));
}

void TargetSession::got_final(const wire::Final& final) {
  if (core_.state() == TargetState::kComparing) return compare(final);
  if (core_.state() != TargetState::kReceiving) return feed(Event::kFinalWrong);
  report_.producer = final.producer == wire::ProducerExit::kSuccess ? "exit code 0" : "unknown";
  report_.digest = to_hex(final.digest);
  pipeline_->check_final(final, [this](Status verdict) {
    if (!verdict) return feed(Event::kFinalWrong, {verdict.take_error()});
    feed(Event::kFinalRight);
  });
}

void TargetSession::compare(const wire::Final& final) {
  report_.digest = to_hex(final.digest);
  if (final.digest == record_->digest && final.stream_bytes == record_->stream_bytes)
    return feed(Event::kFinalRight, {{Fault::kNone, {}, {}}, wire::Completion::kAlreadyReceived});
  // The record has served: what it tells is told, and another run shall not be stopped by it again.
  Status removed = host_.files.state().remove(record_name_);
  feed(Event::kFinalWrong,
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
  if (Status saved = host_.files.state().save(record_name_, encode(record)); !saved) {
    Error error = saved.take_error();
    error.what = "the stream was delivered completely, but that could not be written down: " + error.what;
    return feed(Event::kLocalFailed, {std::move(error)});
  }
  feed(Event::kDelivered, {{Fault::kNone, {}, {}}, how});
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
  const Error& error = core_.ending().error;
  lane_->send(wire::FrameType::kAbort,
              wire::encode(wire::Abort{error.fault, error.what.substr(0, limits::kErrorTextBytesMax)}));
}

Progress TargetSession::progress() const {
  Progress progress = report_.progress;
  if (pipeline_) progress.stream_bytes = pipeline_->written_bytes();
  if (record_ && !pipeline_) progress.stream_bytes = record_->stream_bytes;
  if (lane_) progress.wire_bytes = lane_->received_bytes();
  if (pipeline_ && core_.state() == TargetState::kReceiving)
    progress.bottleneck = pipeline_->writing() ? Bottleneck::kTarget : Bottleneck::kLink;
  return progress;
}

Report TargetSession::abandoned() const {
  Report report = report_;
  report.progress = progress();
  bool open = core_.state() == TargetState::kDelivering || core_.state() == TargetState::kDeliveringAlone;
  report.ending = core_.ending();
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
  report_.ending = core_.ending();
  if (pipeline_)
    for (std::uint64_t count : pipeline_->walker().summary().records) report_.records += count;
  host_.loop.cancel(deadline_timer_);
  host_.loop.post(lifeline_.guard([this] { done_(report_); }));
}

}  // namespace zferry::pipeline
