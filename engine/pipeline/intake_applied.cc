// How far ZFS is, asked while its receive runs: what it has on its disks for certain the store may let go of.
#include <utility>

#include "pipeline/intake.h"

namespace zferry::pipeline {
namespace {

constexpr int kGroupsToStand = 12;

}  // namespace

void Intake::watch_applied() {
  host_.loop.cancel(applied_timer_);
  applied_timer_ = host_.loop.after(settings_.applied_every, lifeline_.guard([this] { ask_applied(); }));
}

bool Intake::was_shown(const zstream::ResumeToken& token) const {
  return shown_token_ && shown_token_->object == token.object && shown_token_->offset == token.offset &&
         shown_token_->bytes == token.bytes;
}

// The token that is on ZFS's disks for certain. Where all waits for room ZFS gets nothing new and shows nothing later:
// then one counts that has stood for many of ZFS's transaction groups.
std::optional<zstream::ResumeToken> Intake::settled(const zstream::ResumeToken& shown) {
  if (!was_shown(shown)) {
    shown_token_ = shown;
    shown_since_ = host_.loop.now();
  }
  std::optional<zstream::ResumeToken> last = settled_.shown(shown);
  bool stood = host_.loop.now() - shown_since_ >= kGroupsToStand * settings_.applied_every;
  return spool_->waits_for_room() && stood ? shown : last;
}

// What waits for room waits as long as ZFS gets on; a store that nothing more can be let go of is full for good.
void Intake::look_at(const Result<zstream::ResumeToken>& token, bool synced) {
  std::optional<Checkpoint> checkpoint;
  bool moves = false;
  if (token) {
    moves = !was_shown(*token);
    auto counts = settled(*token);
    if (synced) counts = *token;
    if (counts) checkpoint = pipeline_->applied(*counts, spool_->durable());
    moves = moves || checkpoint || pipeline_->writing();
  }
  fruitless_ = moves || !spool_->waits_for_room() ? 0 : fruitless_ + 1;
  if (checkpoint) spool_->apply(std::move(*checkpoint));
  if (spool_->waits_for_room()) store_full();
}

void Intake::ask_applied() {
  applied_timer_ = 0;
  if (over_ || !pipeline_ || !spooling()) return;
  if (pipeline_->delivered() == launched_at_ && !spool_->waits_for_room()) return watch_applied();
  auto told = of_this_pipeline([this](const Result<Question::Answer>& answer) {
    bool known = answer && answer->exit.success();
    auto token = zstream::decode_resume_token(known ? answer->output : std::string());
    // Seen twice: ZFS changes a token's parts one after the other, and a look in between sees a part of a new one.
    bool steady = token && was_shown(*token);
    if (steady && spool_->waits_for_room() && can_sync_ && !over_) return sync_pool(*token);
    watch_applied();
    if (!over_) look_at(token, false);
  });
  applied_question_ = std::make_unique<Question>(host_, receive_->ask_token(session_.open.name),
                                                 limits::kZfsAnswerPatience, std::move(told));
}

// All waits for what ZFS writes in its own time. What was shown before a sync began is on the disks when that is over.
void Intake::sync_pool(const zstream::ResumeToken& shown) {
  auto synced = of_this_pipeline([this, shown](const Result<Question::Answer>& answer) {
    watch_applied();
    can_sync_ = answer && answer->exit.success();
    if (!can_sync_ && !over_)
      warn("\"zpool sync\" cannot be used here: a full store makes room only about once a minute; more capacity helps");
    if (!over_) look_at(shown, can_sync_);
  });
  applied_question_ = std::make_unique<Question>(host_, receive_->sync_pool(session_.open.name),
                                                 limits::kZfsAnswerPatience, std::move(synced));
}

}  // namespace zferry::pipeline
