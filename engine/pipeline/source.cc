#include "pipeline/source.h"

#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

#include "pipeline/names.h"

namespace zferry::pipeline {

using session::SourceAction;
using session::SourceNews;
using session::SourceState;

namespace {

// A signal to the terminal's whole group may end the producer just before it reaches us: which of the two it was is
// told by waiting this long.
constexpr Duration kSignalGrace = std::chrono::milliseconds(300);

constexpr std::size_t kOvertaken = 4;
constexpr Duration kLookAgain = std::chrono::milliseconds(500);

bool ended_by_operator(const io::ExitStatus& exit) {
  return exit.by_signal && (exit.number == SIGINT || exit.number == SIGTERM || exit.number == SIGHUP);
}

}  // namespace

Source::Source(Host& host, const SourceSettings& settings, std::function<void(const Report&)> done)
    : host_(host),
      settings_(settings),
      done_(std::move(done)),
      driver_(
          host.loop, session::SourceCore(),
          {[this](SourceAction action) { act(action); }, [this] { return still_moving(); }, settings.notices.event}),
      link_(host, settings.meeting, settings.lane, wire::Role::kSource, no_blocks_, settings.notices, link_events()),
      tuner_(host, link_, settings, tuner_wiring()),
      give_up_after_(settings.give_up_after) {
  report_.producer = settings.producer.empty() ? "unknown" : "";
  host_.random.fill(std::as_writable_bytes(std::span(&open_.incarnation, 1)));
  open_.incarnation |= 1;  // never 0
}

Source::~Source() = default;

void Source::start() {
  report_.progress.stage = "waiting";
  if (Status prepared = host_.files.state().prepare(); !prepared) {
    state_usable_ = false;
    warn("an outcome that stays open cannot be remembered: " + prepared.error().what);
  }
  link_.set_patience(give_up_after_);
  link_.start();
}

void Source::interrupt(int signal_number) {
  driver_.feed(Event::kInterrupted,
               {{Fault::kInterrupted, interrupted_text(signal_number, "source"), "run the same command again"}});
}

// While closing: our last words are still on their way out, over a link that may be slow.
bool Source::still_moving() {
  if (!link_.closing()) return false;
  std::uint64_t sent = link_.statistics().sent_bytes;
  return std::exchange(sent_when_asked_, sent) != sent;
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
    case SourceAction::kClearMarker: return clear_marker();
    case SourceAction::kSendFinal: return send_final();
    case SourceAction::kSendDone:
      if (Lane* lane = link_.best()) lane->send(wire::FrameType::kDone, {});
      return;
    case SourceAction::kSendAbort: return send_abort();
    case SourceAction::kSendLeave: return send_leave();
    case SourceAction::kCloseLink: return link_.close();
    case SourceAction::kFinish: return finish();
    case SourceAction::kNoteFault:
    case SourceAction::kNoteBreach:
    case SourceAction::kNoteCrossing:
    case SourceAction::kNoteUnknown:
    case SourceAction::kNoteSuccess:
    case SourceAction::kCount: return;  // the core's own
  }
}

Link::Events Source::link_events() {
  Link::Events events;
  events.fresh = [this](Lane& lane) {
    tuner_.joined(lane);
    driver_.feed(Event::kLinkUp);
  };
  events.joined = [this](Lane& lane) {
    tuner_.joined(lane);
    link_back();
  };
  events.lane_lost = [this](Lane& lane) {
    flight_.lane_lost(lane.id(), lane.unwritten_bytes());
    if (pipeline_) pipeline_->name_again();
    driver_.feed(Event::kLaneLost);
  };
  events.leaves = [](Lane&) {};
  events.down = [this](const Error& why) { link_down(why); };
  events.lost = [this](Error why) { driver_.feed(Event::kLinkLost, {std::move(why)}); };
  events.message = [this](Lane& lane, wire::FrameType type, ConstBytes bytes) { lane_message(lane, type, bytes); };
  events.block = [this](Lane&, const wire::Block&, const flow::Slice&) {
    broke({Fault::kProtocol, "the target sent a block", {}});
  };
  events.room = [this] { pump(); };
  events.drained = [] {};
  events.broke = [this](Lane&, Error why) { broke(std::move(why)); };
  events.visitor_left = [](const std::string&) {};
  events.closed = [this] { driver_.feed(Event::kLinkClosed); };
  return events;
}

LinkTuner::Wiring Source::tuner_wiring() {
  LinkTuner::Wiring wiring;
  wiring.bottleneck = [this] { return bottleneck(); };
  wiring.stream_bytes = [this] { return flight_.acknowledged_bytes(); };
  wiring.pace = [this](const LinkTuner::Pace& pace) {
    if (!pipeline_) return;
    pipeline_->set_under_way(pace.under_way_bytes);
    pipeline_->set_block_bytes(pace.block_bytes);
    pipeline_->levels().set_link(pace.link_bytes_per_s);
    pipeline_->levels().set_pace(pace.stream_bytes_per_s);
  };
  wiring.tick = [this] { pump(); };
  wiring.info = [this](const std::string& text) { info(text); };
  return wiring;
}

// Told in its turn: a target that fails says why and hangs up, and then there is nothing to get back.
void Source::link_down(const Error& why) {
  driver_.later([this, text = why.what] {
    bool outcome_open = core().state() == SourceState::kFinalSent;
    warn(text + "; " + (settings_.meeting.listen ? "waiting for it to come back" : "trying to get it back") +
         (outcome_open ? ": everything is sent, only the answer is missing" : ""));
  });
}

void Source::link_back() {
  LinkStatistics link = link_.statistics();
  if (std::exchange(reconnects_told_, link.reconnects) != link.reconnects)
    info("the link is back; " + std::to_string(static_cast<long>(seconds(link.without_link))) + " s without it so far");
  if (pipeline_) pipeline_->name_again();
  driver_.feed(Event::kLinkBack);
}

void Source::broke(Error why) { driver_.feed(Event::kPeerBroke, {std::move(why)}); }

// A message is acted on at its turn, by the state of then. The target's ABORT overtakes what waits: the lane may be
// over with it, and what this end would say then nobody hears, so both ends name the target's fault.
void Source::lane_message(Lane& lane, wire::FrameType type, ConstBytes bytes) {
  if (type == wire::FrameType::kAbort) {
    auto abort = wire::decode_abort(bytes);
    if (!abort) return broke(abort.take_error());
    return driver_.overtake(
        Event::kPeerAborted,
        {{abort->fault, "the target says: " + escaped(abort->text, limits::kErrorTextBytesMax), {}}});
  }
  if (type == wire::FrameType::kAck) return hear_ack(bytes);
  driver_.later([this, id = lane.id(), type, copy = std::vector<std::byte>(bytes.begin(), bytes.end())] {
    serve_message(id, type, copy);
  });
}

// A target that was started anew grants credit anew: until its turn has come nothing goes by the old one's.
void Source::hear_ack(ConstBytes bytes) {
  auto ack = wire::decode_ack(bytes);
  if (!ack) return broke(ack.take_error());
  heard_life_ = std::max(heard_life_, ack->life);
  driver_.later([this, heard = *ack] { got_ack(heard); });
}

void Source::serve_message(std::uint64_t lane, wire::FrameType type, ConstBytes bytes) {
  auto breach = [this](Error error) { driver_.step(Event::kPeerBroke, {std::move(error)}); };
  switch (type) {
    case wire::FrameType::kOpened: {
      auto opened = wire::decode_opened(bytes);
      return opened ? got_opened(lane, *opened) : breach(opened.take_error());
    }
    case wire::FrameType::kFinalAck: {
      auto final_ack = wire::decode_final_ack(bytes);
      return final_ack ? got_final_ack(*final_ack) : breach(final_ack.take_error());
    }
    case wire::FrameType::kNeed: {
      auto need = wire::decode_need(bytes);
      if (!need) return breach(need.take_error());
      const bool asked =
          pipeline_ && (core().state() == SourceState::kStreaming || core().state() == SourceState::kFinalSent);
      if (!asked) return;  // said to a run or a state that is over
      if (Status sound = pipeline_->answer(*need); !sound) return breach(sound.take_error());
      return pump();
    }
    default: return breach({Fault::kProtocol, "the target sent a " + std::string(wire::frame_type_name(type)), {}});
  }
}

void Source::got_ack(const wire::Ack& ack) {
  SourceNews news;
  bool flowing = core().state() == SourceState::kStreaming || core().state() == SourceState::kFinalSent;
  if (flowing) {
    if (ack.life < target_life_) return;  // the last words of a target that died since
    if (ack.received > next_number_)
      return driver_.step(Event::kPeerBroke, {{Fault::kProtocol, "the target acknowledged what was not sent", {}}});
    news.credit_anew = ack.life > target_life_;
    if (!news.credit_anew) {
      flight_.acknowledge(ack);
    } else if (!flight_.acknowledge_anew(ack)) {
      return driver_.step(Event::kPeerBroke,
                          {{Fault::kSessionGone, "the target was started anew, and lacks what it had acknowledged",
                            "run the same command again: it goes on where the target stands"}});
    }
    if (news.credit_anew && pipeline_) pipeline_->name_all_again();
    if (pipeline_) pipeline_->let_go([this](std::uint64_t number) { return flight_.holds(number); });
    note_keep(ack);
    // No more than this end could ever need, whatever the target claims to have room for.
    news.credit = std::min<std::uint64_t>(ack.credit, ack.received + kBlocksUnderWay);
    credit_bytes_ = news.credit_anew ? ack.credit_bytes : std::max(credit_bytes_, ack.credit_bytes);
  }
  driver_.step(Event::kAck, news);
}

// What the operator is told of how safe the stream is.
void Source::note_keep(const wire::Ack& ack) {
  if (std::exchange(target_life_, ack.life) != ack.life)
    info("the target was started anew; it has what it acknowledged, and goes on");
  if (std::exchange(keep_, ack.keep) == ack.keep) return;
  if (keep_ == wire::Keep::kStore) info("the target keeps the stream in its store: it survives a crash there");
  if (keep_ == wire::Keep::kStoreLost)
    warn("the target's store has failed or is full: from here on a crash of the target loses what it has not applied");
}

void Source::got_final_ack(const wire::FinalAck& final_ack) {
  bool already = opened_ && opened_->how == wire::OpenedHow::kAlreadyReceived;
  bool same = already == (final_ack.completion == wire::Completion::kAlreadyReceived);
  bool asked = core().state() == SourceState::kFinalSent;
  if (asked && pipeline_ && (final_ack.stream_bytes != pipeline_->stream_bytes() || !same))
    return driver_.step(Event::kPeerBroke,
                        {{Fault::kProtocol, "the target acknowledged another stream than was sent", {}}});
  SourceNews news;
  news.completion = final_ack.completion;
  driver_.step(Event::kFinalAck, news);
}

void Source::start_input() {
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
  events.wanted = [this] {
    if (!opened_ || next_number_ >= core().credit() || pipeline_->stream_bytes() >= credit_bytes_) return false;
    std::vector<Lane*> lanes = link_.carriers();
    return std::any_of(lanes.begin(), lanes.end(), [](const Lane* lane) { return lane->has_room(); });
  };
  events.identified = [this] { driver_.feed(Event::kIdentified); };
  events.ready = [this] { pump(); };
  events.input_ended = [this] { check_whole(); };
  events.failed = [this](Error why) { driver_.feed(Event::kLocalFailed, {std::move(why)}); };
  events.again = [this](const wire::Block& header, flow::Slice packed) {
    flight_.exchange(header, std::move(packed));
    pump();
  };
  pipeline_ = std::make_unique<SendPipeline>(host_, producer_ ? producer_->pipe() : *input_,
                                             SendPipeline::Settings{settings_.lane.block_bytes, settings_.pack,
                                                                    settings_.pool_buffers, settings_.chunk_id_bits},
                                             std::move(events));
  // Until it is known what the link is like.
  pipeline_->set_under_way(limits::kUnderWayLeast);
  pipeline_->set_block_bytes(limits::kShortBlockBytes);
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
  ResumePoint from = ResumePoint::compare_only();
  if (!compare_only) {
    from = {opened_->next_number, opened_->offset, {}};
    for (const wire::Mark& mark : opened_->marks) from.marks.push_back({mark.stream_bytes, mark.digest});
  }
  if (opened_->how == wire::OpenedHow::kContinue)
    info("the target has " + std::to_string(opened_->offset) + " bytes of it already: comparing, then going on there");
  pipeline_->begin(seal::SecretBytes(opened_->leaf_key), std::move(from), opened_->chunk_key);
  check_whole();
}

// A lane pulls when it has room: one block each, in turn, until none has.
void Source::pump() {
  if (core().state() == SourceState::kComparing) return check_whole();
  bool flowing = core().state() == SourceState::kStreaming || core().state() == SourceState::kFinalSent;
  if (!pipeline_ || !flowing || heard_life_ > target_life_) return;
  say_chunks();
  bool room = false;
  for (bool loaded = true; loaded;) {
    loaded = room = false;
    for (Lane* lane : link_.carriers()) {
      if (!lane->has_room()) continue;
      room = true;
      loaded |= load_copy(*lane) || load(*lane);
    }
  }
  if (room) pipeline_->pull();
  tuner_.note();
  if (link_.carriers().empty() && link_.best() != nullptr) pump_later();
  check_whole();
}

// On the lane where they wait the least.
void Source::say_chunks() {
  std::vector<Lane*> lanes = link_.carriers();
  if (lanes.empty()) return;
  const auto waiting = [](const Lane* lane) { return lane->unwritten_bytes(); };
  while (std::optional<wire::Chunks> chunks = pipeline_->next_chunks(credit()))
    std::ranges::min(lanes, {}, waiting)->send(wire::FrameType::kChunks, wire::encode(*chunks));
}

// All lanes are silent: that one of them speaks again is no event.
void Source::pump_later() {
  if (std::exchange(pump_waits_, true)) return;
  host_.loop.after(kLookAgain, lifeline_.guard([this] {
    pump_waits_ = false;
    pump();
  }));
}

// What lost its lane goes before what is new.
bool Source::load(Lane& lane) {
  if (flight_.has_homeless()) {
    if (!credit().covers(flight_.first_homeless())) return false;
    Flight::Passenger block = flight_.take_homeless(lane.id());
    lane.send_block(block.header, std::move(block.packed));
    return true;
  }
  std::optional<OutgoingBlock> block = pipeline_->next_block(credit());
  if (!block) return false;
  next_number_ = block->header.number + 1;
  flight_.add(block->header, block->packed, lane.id(), host_.loop.now());
  lane.send_block(block->header, std::move(block->packed));
  return true;
}

// What another lane is late with goes on this one, too, so that a slow lane holds nobody up: soon where the window is
// full, or this end's pool, or nothing more will come; else when it is very late. Blocks of several lanes overtake each
// other by about one each; late is what many have overtaken.
bool Source::load_copy(Lane& lane) {
  bool last_ones = pipeline_->drained();
  bool stuck = last_ones || pipeline_->waits_for(credit()) || pipeline_->starved();
  std::size_t overtaken_by = last_ones ? 1 : link_.carriers().size() + kOvertaken;
  TimePoint late{host_.loop.now() - TimePoint{stuck ? tuner_.late() : tuner_.very_late()}};
  std::optional<Flight::Passenger> block = flight_.take_copy(lane.id(), late, overtaken_by);
  if (!block) return false;
  lane.send_block(block->header, std::move(block->packed));
  return true;
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
      return fail_input(good.take_error());
    }
  }
  bool flowing = core().state() == SourceState::kStreaming || core().state() == SourceState::kComparing;
  if (!flowing || !pipeline_->drained()) return;
  whole_ = true;
  driver_.feed(Event::kStreamWhole);
}

// The operator's signal, if that is what ended the input, may be about to reach us as well: then it is what counts.
void Source::fail_input(Error why) {
  bool maybe_operator = producer_exit_ ? ended_by_operator(*producer_exit_) : why.fault == Fault::kStreamIncomplete;
  if (!maybe_operator) return driver_.feed(Event::kLocalFailed, {std::move(why)});
  host_.loop.after(kSignalGrace, lifeline_.guard([this, why] { driver_.feed(Event::kLocalFailed, {why}); }));
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
void Source::info(const std::string& text) const {
  if (settings_.notices.info) settings_.notices.info(text);
}

// A question that found no answer leaves open what it asked about.
void Source::clear_marker() {
  bool asked = opened_ && opened_->how == wire::OpenedHow::kAlreadyReceived;
  Fault fault = core().ending().error.fault;
  bool answered = fault == Fault::kNone || fault == Fault::kDifferentStream;
  if (!open_.nameable || (asked && !answered)) return;
  if (Status removed = host_.files.state().remove(marker_); !removed) warn(removed.error().what);
}

void Source::send_final() {
  // Nothing is left to send: what is awaited is one word, and a later run can ask for it as well.
  link_.set_patience(std::min<Duration>(give_up_after_, limits::kAnswerPatience));
  final_waits_ = marker_in_work_;
  Lane* lane = link_.best();
  if (final_waits_ || lane == nullptr || !pipeline_) return;
  report_.progress.stage = "finishing";
  StreamEnd end = pipeline_->end();
  wire::Final final;
  final.stream_bytes = end.bytes;
  final.blocks = end.blocks;
  final.digest = end.digest;
  final.producer = producer_exit_ ? wire::ProducerExit::kSuccess : wire::ProducerExit::kUnknown;
  report_.digest = to_hex(end.digest);
  lane->send(wire::FrameType::kFinal, wire::encode(final));
}

void Source::send_abort() {
  const Error& error = core().ending().error;
  link_.send_everywhere(wire::FrameType::kAbort,
                        wire::encode(wire::Abort{error.fault, error.what.substr(0, limits::kErrorTextBytesMax)}));
}

// The target holds what can be gone on with; what cannot be named cannot be.
void Source::send_leave() {
  bool asked = open_.identity != wire::Id{};  // the target holds it, or is about to
  if (!open_.nameable && asked) return send_abort();
  link_.send_everywhere(wire::FrameType::kLeave, {});
}

Bottleneck Source::bottleneck() const {
  if (!pipeline_ || core().state() != SourceState::kStreaming) return Bottleneck::kUnknown;
  if (pipeline_->waits_for(credit())) return Bottleneck::kTarget;
  std::vector<Lane*> lanes = link_.carriers();
  if (std::none_of(lanes.begin(), lanes.end(), [](const Lane* lane) { return lane->has_room(); }))
    return Bottleneck::kLink;
  return pipeline_->in_work() > 1 ? Bottleneck::kCpu : Bottleneck::kSource;
}

Progress Source::progress() const {
  Progress progress = report_.progress;
  LinkStatistics link = link_.statistics();
  if (pipeline_) {
    progress.stream_bytes = pipeline_->stream_bytes();
    progress.found_bytes = pipeline_->found_bytes();
    progress.resume.skipped_bytes = pipeline_->skipped_bytes();
  }
  progress.acked_bytes = std::max(progress.resume.skipped_bytes, flight_.acknowledged_bytes());
  progress.wire_bytes = link.sent_bytes;
  progress.resume.sent_again_bytes = flight_.sent_again_bytes();
  progress.copied_bytes = flight_.copied_bytes();
  progress.resume.reconnects = link.reconnects;
  progress.resume.lanes_lost = link.lanes_lost;
  progress.resume.without_link = link.without_link;
  progress.lanes = link_.carriers().size();
  if (progress.stage == "streaming" && pipeline_ && pipeline_->skipping()) progress.stage = "comparing";
  if (core().state() != SourceState::kConnecting && progress.lanes == 0 && !link_.closing())
    progress.stage = "reconnecting";
  progress.size_hint_bytes = settings_.size_hint_bytes;
  progress.bottleneck = bottleneck();
  return progress;
}

Report Source::abandoned() {
  if (core().ending().ok()) clear_marker();  // it was only about to hang up
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
  report_.peer = link_.peer();
  report_.cipher = seal::cipher_name(link_.cipher());
  report_.ending = core().ending();
  if (pipeline_) {
    report_.checksums_verified = pipeline_->checksums_verified();
    for (std::uint64_t count : pipeline_->walker().summary().records) report_.records += count;
  }
  host_.loop.post(lifeline_.guard([this] { done_(report_); }));
}

}  // namespace zferry::pipeline
