// How a source opens its session: what it says of its stream and of an earlier run, and what the target agrees to.
// docs/PROTOCOL.md, "Resume" and "Endings". Mirror: target_opening.cc.
#include <algorithm>
#include <utility>

#include "pipeline/names.h"
#include "pipeline/source.h"

namespace zferry::pipeline {

using session::SourceNews;
using session::SourceState;

// The same again where the lane was lost before the answer came.
void Source::send_open() {
  Lane* lane = link_.best();
  if (lane == nullptr) return;
  if (open_.identity == wire::Id{}) {
    const zstream::WalkSummary& summary = pipeline_->walker().summary();
    report_.stream_name = settings_.session_name.empty() ? summary.toname : escaped(settings_.session_name);
    auto of_stream = pipeline_->walker().identity();
    open_.identity = session_identity(of_stream, settings_.session_name, host_.random);
    open_.kind = !of_stream         ? wire::StreamKind::kOpaque
                 : summary.compound ? wire::StreamKind::kCompound
                                    : wire::StreamKind::kZfs;
    // A stream that cannot be told from another has no earlier run, and nobody will ask for its outcome.
    open_.nameable = of_stream || !settings_.session_name.empty();
    open_.lanes = static_cast<std::uint8_t>(settings_.lanes);
    open_.give_up_s = to_wire_seconds(settings_.give_up_after);
    open_.block_bytes_max = static_cast<std::uint32_t>(settings_.lane.block_bytes);
    open_.size_hint_bytes = settings_.size_hint_bytes;
    open_.name = report_.stream_name.substr(0, limits::kNameBytesMax);
    marker_ = record_name("unknown", {ConstBytes(open_.identity), ConstBytes(lane->principal())});
    if (open_.nameable) open_.earlier_run = earlier_run();
  }
  lane->send(wire::FrameType::kOpen, wire::encode(open_));
}

wire::EarlierRun Source::earlier_run() {
  if (!state_usable_) return wire::EarlierRun::kCannotKnow;
  auto marker = host_.files.state().load(marker_);
  if (!marker) {
    warn("the state folder cannot be read: " + marker.error().what);
    return wire::EarlierRun::kCannotKnow;
  }
  if (!*marker) return wire::EarlierRun::kNone;
  open_outcome_ = std::move(**marker);
  return wire::EarlierRun::kOutcomeUnknown;
}

void Source::got_opened(std::uint64_t lane_id, const wire::Opened& opened) {
  bool already = opened.how == wire::OpenedHow::kAlreadyReceived;
  Lane* lane = link_.lane(lane_id);
  if (lane == nullptr) return;  // it is gone: the target will be asked again
  if (core().state() == SourceState::kOpening) {
    // A target keeps what it completed by its own words; the note says which session it was.
    if (already && open_outcome_ && !std::ranges::equal(*open_outcome_, opened.leaf_key)) {
      if (Status removed = host_.files.state().remove(marker_); !removed) warn(removed.error().what);
      return driver_.step(Event::kLocalFailed,
                          {{Fault::kSessionGone,
                            "the target remembers another transfer of this stream than the one whose outcome is open",
                            "look at what the target has; the same command again sends the stream"}});
    }
    opened_ = opened;
    link_.adopt(*lane, seal::SecretBytes(opened.leaf_key), open_.incarnation);
    tuner_.start(opened.lanes);
    // The last attempt to come back shall not meet a target that has just let go.
    if (opened.hold_s != wire::kForEver)
      give_up_after_ = std::min<Duration>(give_up_after_, std::chrono::seconds(opened.hold_s));
    link_.set_patience(give_up_after_);
    next_number_ = opened.next_number;
    flight_.begin_at(opened.next_number);
    target_life_ = opened.life;
  }
  SourceNews news;
  news.credit = std::min<std::uint64_t>(opened.credit, opened.next_number + kBlocksUnderWay);
  if (core().state() == SourceState::kOpening) credit_bytes_ = opened.credit_bytes;
  driver_.step(already ? Event::kOpenedAlready : Event::kOpened, news);
}

// On disk before FINAL goes, and off the loop: a slow disk must not look like a dead link.
void Source::save_marker() {
  if (!open_.nameable) return;
  marker_in_work_ = true;
  auto saved = std::make_shared<Status>();
  auto job = [saved, &state = host_.files.state(), name = marker_, key = opened_->leaf_key] {
    *saved = state.save(name, key);
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, saved] {
    marker_in_work_ = false;
    if (!*saved) warn("cannot note that the outcome is open: " + saved->error().what);
    if (std::exchange(final_waits_, false)) send_final();
  }));
}

}  // namespace zferry::pipeline
