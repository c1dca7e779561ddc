#include "pipeline/source.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "pipeline/names.h"

namespace zferry::pipeline {

using session::SourceAction;
using session::SourceNews;
using session::SourceState;

Source::Source(Host& host, const SourceSettings& settings, std::function<void(const Report&)> done)
    : host_(host),
      settings_(settings),
      done_(std::move(done)),
      driver_(
          host.loop, session::SourceCore(),
          {[this](SourceAction action) { act(action); }, [this] { return still_moving(); }, settings.notices.event}) {
  report_.producer = settings.producer.empty() ? "unknown" : "";
}

Source::~Source() = default;

void Source::start() {
  report_.progress.stage = "waiting";
  if (Status prepared = host_.files.state().prepare(); !prepared) {
    state_usable_ = false;
    warn("an outcome that stays open cannot be remembered: " + prepared.error().what);
  }
  if (!settings_.meeting.listen) {
    auto met = lifeline_.guard([this](Result<EstablishedLane> lane) {
      if (!lane) return driver_.feed(Event::kLaneLost, {lane.take_error()});
      lane_up(std::move(*lane));
    });
    // std::function wants what can be copied; the lane itself cannot, so it goes by way of its result.
    dialling_ =
        std::make_unique<Dialling>(host_, settings_.meeting, settings_.lane, wire::Role::kSource, std::move(met));
    return dialling_->start();
  }
  reception_ =
      std::make_unique<Reception>(host_, settings_.meeting, settings_.lane, wire::Role::kSource, settings_.notices,
                                  lifeline_.guard([this](EstablishedLane lane) { lane_up(std::move(lane)); }));
  if (Status listening = reception_->start(); !listening) driver_.feed(Event::kLocalFailed, {listening.take_error()});
}

void Source::interrupt(int signal_number) {
  driver_.feed(Event::kInterrupted,
               {{Fault::kInterrupted, interrupted_text(signal_number, "source"), "run the same command again"}});
}

// While closing: our last words are still on their way out, over a link that may be slow.
bool Source::still_moving() {
  if (!lane_ || !lane_->closing()) return false;
  return std::exchange(sent_when_asked_, lane_->sent_bytes()) != lane_->sent_bytes();
}

void Source::act(SourceAction action) {
  switch (action) {
    case SourceAction::kStartInput: return start_input();
    case SourceAction::kStopInput: return stop_input();
    case SourceAction::kSendOpen: return send_open();
    case SourceAction::kRaiseCredit: return pump();
    case SourceAction::kStartFlow: return start_flow(false);
    case SourceAction::kStartCompare: return start_flow(true);
    case SourceAction::kSaveMarker: return save_marker();
    case SourceAction::kClearMarker:
      if (nameless_) return;
      if (Status removed = host_.files.state().remove(marker_); !removed) warn(removed.error().what);
      return;
    case SourceAction::kSendFinal: return send_final();
    case SourceAction::kSendDone: return lane_->send(wire::FrameType::kDone, {});
    case SourceAction::kSendAbort: return send_abort();
    case SourceAction::kCloseLane: return lane_->close();
    case SourceAction::kFinish: return finish();
    case SourceAction::kNoteFault:
    case SourceAction::kNoteBreach:
    case SourceAction::kNoteCrossing:
    case SourceAction::kNoteUnknown:
    case SourceAction::kNoteSuccess:
    case SourceAction::kCount: return;  // the core's own
  }
}

void Source::lane_up(EstablishedLane established) {
  LaneEvents events;
  events.message = [this](wire::FrameType type, ConstBytes bytes) { lane_message(type, bytes); };
  events.block = [this](const wire::Block&, const flow::Slice&) {
    broke({Fault::kProtocol, "the target sent a block", {}});
  };
  events.broke = [this](Error why) { broke(std::move(why)); };
  events.room = [this] { pump(); };
  events.lost = [this](Error why) { driver_.feed(Event::kLaneLost, {std::move(why)}); };
  events.closed = [this] { driver_.feed(Event::kLaneClosed); };
  lane_ = std::make_unique<Lane>(host_, settings_.lane, std::move(established), no_blocks_, std::move(events));
  report_.peer = lane_->peer();
  report_.cipher = seal::cipher_name(lane_->cipher());
  lane_->start();
  driver_.feed(Event::kLaneUp);
}

void Source::broke(Error why) { driver_.feed(Event::kPeerBroke, {std::move(why)}); }

// A message is acted on at its turn, by the state of then. The target's ABORT overtakes what waits: the lane may be
// over with it, and what this end would say then nobody hears, so both ends name the target's fault.
void Source::lane_message(wire::FrameType type, ConstBytes bytes) {
  if (type == wire::FrameType::kAbort) {
    auto abort = wire::decode_abort(bytes);
    if (!abort) return broke(abort.take_error());
    return driver_.overtake(
        Event::kPeerAborted,
        {{abort->fault, "the target says: " + escaped(abort->text, limits::kErrorTextBytesMax), {}}});
  }
  driver_.later([this, type, copy = std::vector<std::byte>(bytes.begin(), bytes.end())] { serve_message(type, copy); });
}

void Source::serve_message(wire::FrameType type, ConstBytes bytes) {
  auto breach = [this](Error error) { driver_.step(Event::kPeerBroke, {std::move(error)}); };
  SourceNews news;
  switch (type) {
    case wire::FrameType::kOpened: {
      auto opened = wire::decode_opened(bytes);
      if (!opened) return breach(opened.take_error());
      if (core().state() == SourceState::kOpening) opened_ = *opened;
      news.credit = std::min<std::uint64_t>(opened->credit, settings_.pool_buffers);
      return driver_.step(opened->how == wire::OpenedHow::kFromStart ? Event::kOpenedFromStart : Event::kOpenedAlready,
                          news);
    }
    case wire::FrameType::kAck: {
      auto ack = wire::decode_ack(bytes);
      if (!ack) return breach(ack.take_error());
      return got_ack(*ack);
    }
    case wire::FrameType::kFinalAck: {
      auto final_ack = wire::decode_final_ack(bytes);
      if (!final_ack) return breach(final_ack.take_error());
      bool already = opened_ && opened_->how == wire::OpenedHow::kAlreadyReceived;
      if (pipeline_ && (final_ack->stream_bytes != pipeline_->stream_bytes() ||
                        already != (final_ack->completion == wire::Completion::kAlreadyReceived)))
        return breach({Fault::kProtocol, "the target acknowledged another stream than was sent", {}});
      news.completion = final_ack->completion;
      return driver_.step(Event::kFinalAck, news);
    }
    default: return breach({Fault::kProtocol, "the target sent a " + std::string(wire::frame_type_name(type)), {}});
  }
}

void Source::got_ack(const wire::Ack& ack) {
  if (ack.received > next_number_)
    return driver_.step(Event::kPeerBroke, {{Fault::kProtocol, "the target acknowledged what was not sent", {}}});
  while (!unacknowledged_.empty() && unacknowledged_.front().number < ack.received) {
    report_.progress.acked_bytes = unacknowledged_.front().end_offset;
    unacknowledged_.pop_front();
  }
  SourceNews news;
  // No more than this end could ever need, whatever the target claims to have room for.
  news.credit = std::min<std::uint64_t>(ack.credit, ack.received + settings_.pool_buffers);
  driver_.step(Event::kAck, news);
}

void Source::start_input() {
  dialling_.reset();
  if (settings_.producer.empty()) {
    auto input = host_.files.standard_input();
    if (!input) return driver_.feed(Event::kLocalFailed, {input.take_error()});
    input_ = std::move(*input);
  } else {
    auto child = host_.processes.spawn(settings_.producer, io::PipeEnd::kItsOutput);
    if (!child) return driver_.feed(Event::kLocalFailed, {child.take_error()});
    producer_ = std::move(*child);
    producer_->on_exit(lifeline_.guard([this](io::ExitStatus status) {
      producer_exit_ = status;
      report_.producer = status.text();
      check_whole();
    }));
  }
  SendPipeline::Events events;
  events.wanted = [this] { return lane_ && lane_->has_room() && (opened_ && next_number_ < core().credit()); };
  events.identified = [this] { driver_.feed(Event::kIdentified); };
  events.ready = [this] { pump(); };
  events.input_ended = [this] { check_whole(); };
  events.failed = [this](Error why) { driver_.feed(Event::kLocalFailed, {std::move(why)}); };
  pipeline_ = std::make_unique<SendPipeline>(
      host_, producer_ ? producer_->pipe() : *input_,
      SendPipeline::Settings{settings_.lane.block_bytes, settings_.pack, settings_.pool_buffers}, std::move(events));
  pipeline_->start();
}

void Source::stop_input() {
  report_.progress = progress();
  pipeline_.reset();
  input_.reset();
  producer_.reset();
}

void Source::start_flow(bool compare_only) {
  report_.progress.stage = compare_only ? "comparing" : "streaming";
  pipeline_->begin(seal::SecretBytes(opened_->leaf_key), compare_only);
  check_whole();
}

void Source::pump() {
  if (!pipeline_ || core().state() == SourceState::kAborting) return;
  while (lane_->has_room()) {
    std::optional<OutgoingBlock> block = pipeline_->next_block(core().credit());
    if (!block) break;
    next_number_ = block->header.number + 1;
    unacknowledged_.push_back({block->header.number, block->header.offset + block->header.raw_bytes, block->packed});
    lane_->send_block(block->header, std::move(block->packed));
  }
  if (lane_->has_room()) pipeline_->pull();
  check_whole();
}

// The stream is whole when the producer vouches for it (where it can), nothing is missing at its end, and everything is
// on the link.
void Source::check_whole() {
  if (!pipeline_ || whole_) return;
  if (!input_judged_) {
    bool failed_producer = producer_exit_ && !producer_exit_->success();
    if (!failed_producer && (!pipeline_->input_over() || (producer_ && !producer_exit_))) return;
    input_judged_ = true;
    if (Status good = judge_input(); !good) {
      whole_ = true;
      return driver_.feed(Event::kLocalFailed, {good.take_error()});
    }
  }
  bool flowing = core().state() == SourceState::kStreaming || core().state() == SourceState::kComparing;
  if (!flowing || !pipeline_->drained()) return;
  whole_ = true;
  driver_.feed(Event::kStreamWhole);
}

Status Source::judge_input() {
  if (producer_exit_ && !producer_exit_->success())
    return Error{Fault::kProducerFailed,
                 settings_.producer.front() + " ended with " + producer_exit_->text() + " after " +
                     std::to_string(pipeline_->stream_bytes()) + " bytes",
                 "see its own messages above"};
  if (pipeline_->stream_bytes() == 0 && !producer_ && !settings_.allow_empty)
    return Error{Fault::kStreamIncomplete, "the input is empty: most likely the command before the pipe failed",
                 "use `zferry send ... -- zfs send ...`, which sees its exit code; an empty stream on purpose needs "
                 "--allow-empty"};
  Status whole = pipeline_->finish();
  const zstream::WalkSummary& summary = pipeline_->walker().summary();
  if (summary.missing_snapshots > 0 && producer_) {
    // `zfs send -R -X` lists what it leaves out. The list alone cannot tell that from an error; a producer that ends
    // well can.
    warn(std::to_string(summary.missing_snapshots) +
         " snapshots on the stream's own list are not in it; its producer ended well all the same");
    return {};
  }
  if (summary.arrivals_unchecked) warn("the stream's list of snapshots is too long to be checked against what came");
  return whole;
}

void Source::warn(const std::string& text) const {
  if (settings_.notices.warning) settings_.notices.warning(text);
}

void Source::send_open() {
  const zstream::WalkSummary& summary = pipeline_->walker().summary();
  report_.stream_name = settings_.session_name.empty() ? summary.toname : escaped(settings_.session_name);
  auto of_stream = pipeline_->walker().identity();
  identity_ = session_identity(of_stream, settings_.session_name, host_.random);
  marker_ = record_name("unknown", {ConstBytes(identity_), ConstBytes(lane_->principal())});

  wire::Open open;
  open.identity = identity_;
  host_.random.fill(std::as_writable_bytes(std::span(&open.incarnation, 1)));
  open.kind = of_stream ? wire::StreamKind::kZfs : wire::StreamKind::kOpaque;
  open.block_bytes_max = static_cast<std::uint32_t>(settings_.lane.block_bytes);
  open.size_hint_bytes = settings_.size_hint_bytes;
  open.name = report_.stream_name.substr(0, limits::kNameBytesMax);
  // A stream that cannot be told from another has no earlier run, and nobody will ask for its outcome.
  nameless_ = !of_stream && settings_.session_name.empty();
  if (!nameless_) open.earlier_run = earlier_run();
  lane_->send(wire::FrameType::kOpen, wire::encode(open));
}

wire::EarlierRun Source::earlier_run() const {
  if (!state_usable_) return wire::EarlierRun::kCannotKnow;
  auto marker = host_.files.state().load(marker_);
  if (!marker) {
    warn("the state folder cannot be read: " + marker.error().what);
    return wire::EarlierRun::kCannotKnow;
  }
  return *marker ? wire::EarlierRun::kOutcomeUnknown : wire::EarlierRun::kNone;
}

// On disk before FINAL goes, and off the loop: a slow disk must not look like a dead link.
void Source::save_marker() {
  if (nameless_) return;
  marker_in_work_ = true;
  auto saved = std::make_shared<Status>();
  auto job = [saved, &state = host_.files.state(), name = marker_] {
    *saved = state.save(name, as_bytes("outcome unknown\n"));
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, saved] {
    marker_in_work_ = false;
    if (!*saved) warn("cannot note that the outcome is open: " + saved->error().what);
    if (std::exchange(final_waits_, false)) send_final();
  }));
}

void Source::send_final() {
  final_waits_ = marker_in_work_;
  if (final_waits_ || !lane_ || !pipeline_) return;
  report_.progress.stage = "finishing";
  StreamEnd end = pipeline_->end();
  wire::Final final;
  final.stream_bytes = end.bytes;
  final.blocks = end.blocks;
  final.digest = end.digest;
  final.producer = producer_exit_ ? wire::ProducerExit::kSuccess : wire::ProducerExit::kUnknown;
  report_.digest = to_hex(end.digest);
  lane_->send(wire::FrameType::kFinal, wire::encode(final));
}

void Source::send_abort() {
  lane_->drop_waiting_blocks();
  const Error& error = core().ending().error;
  lane_->send(wire::FrameType::kAbort,
              wire::encode(wire::Abort{error.fault, error.what.substr(0, limits::kErrorTextBytesMax)}));
}

Bottleneck Source::bottleneck() const {
  if (!pipeline_ || !lane_ || core().state() != SourceState::kStreaming) return Bottleneck::kUnknown;
  if (pipeline_->ready() > 0 && next_number_ >= core().credit()) return Bottleneck::kTarget;
  if (!lane_->has_room()) return Bottleneck::kLink;
  return pipeline_->in_work() > 1 ? Bottleneck::kCpu : Bottleneck::kSource;
}

Progress Source::progress() const {
  Progress progress = report_.progress;
  if (pipeline_) progress.stream_bytes = pipeline_->stream_bytes();
  if (lane_) progress.wire_bytes = lane_->sent_bytes();
  progress.size_hint_bytes = settings_.size_hint_bytes;
  progress.bottleneck = bottleneck();
  return progress;
}

Report Source::abandoned() const {
  Report report = report_;
  report.progress = progress();
  bool open = core().state() == SourceState::kFinalSent;
  report.ending = core().ending();
  report.ending.note_fault({open ? Fault::kOutcomeUnknown : Fault::kInterrupted,
                            "the operator ended the source at once", "run the same command again"});
  return report;
}

void Source::finish() {
  report_.progress = progress();
  report_.ending = core().ending();
  if (pipeline_) {
    report_.checksums_verified = pipeline_->checksums_verified();
    for (std::uint64_t count : pipeline_->walker().summary().records) report_.records += count;
  }
  host_.loop.post(lifeline_.guard([this] { done_(report_); }));
}

}  // namespace zferry::pipeline
