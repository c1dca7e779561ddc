// How a target that lost its consumer, or died itself, goes on: by what ZFS kept, from the store.
#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "pipeline/intake.h"

namespace zferry::pipeline {
namespace {

// name and value of each line; none where ZFS had no answer.
void each_line(const Question::Answer& answer, const std::function<void(std::string_view, std::string_view)>& take) {
  std::string_view rest = answer.exit.success() ? std::string_view(answer.output) : std::string_view();
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    std::size_t tab = line.find('\t');
    if (tab != std::string_view::npos) take(line.substr(0, tab), line.substr(tab + 1));
  }
}

constexpr int kRevivalsMax = 8;
constexpr int kUnansweredMax = 3;

}  // namespace

// A consumer that took something and died may do better; one that never took anything is told of as it is. After a
// crash the orphan of the process before may still hold the dataset: a few tries.
bool Intake::may_revive(const Error& why) const {
  if (!spooling() || settings_.consumer.empty() || why.fault != Fault::kConsumerFailed) return false;
  bool took = pipeline_->delivered() > std::max(launched_at_, furthest_);
  bool tries = found() != nullptr || revivals_ > 0;
  return took || (tries && revivals_ < kRevivalsMax);
}

void Intake::bury_and_revive(const Error& why) {
  warn(why.what + "; the store has what it took: starting it again");
  spool_->feed(nullptr);
  furthest_ = std::max(furthest_, pipeline_->delivered());
  dying_ = std::move(pipeline_);
  if (rewinding_) caught_up_ = rewinding_;
  Duration delay = settings_.revive_after * std::min(1 << std::min(revivals_, 3), 8);
  ++revivals_;
  dying_->drop(lifeline_.guard([this, delay] {
    if (over_) {
      host_.loop.post(lifeline_.guard([this] {
        dying_.reset();
        if (auto gone = std::exchange(gone_, nullptr)) gone();
      }));
      return;
    }
    revive_after(delay);
  }));
}

void Intake::revive_after(Duration delay) {
  revival_timer_ = host_.loop.after(delay, lifeline_.guard([this] {
    revival_timer_ = 0;
    dying_.reset();
    revive();
  }));
}

// One question at a time.
void Intake::ask(const Argv& argv, std::function<void(const Result<Question::Answer>&)> told) {
  question_ =
      std::make_unique<Question>(host_, argv, limits::kZfsAnswerPatience, std::move(told), limits::kZfsAnswerBytesMax);
}

void Intake::revive() {
  if (compound() && fills_) return ask_parts();
  if (!receive_) return ask_snapshot();
  ask(receive_->ask_token(session_.open.name), [this](const Result<Question::Answer>& answer) { got_token(answer); });
}

void Intake::got_token(const Result<Question::Answer>& answer) {
  if (over_) return;
  if (!answer) return fail(answer.error());
  // No dataset is no token, where nothing was ever let go of; else ZFS has trouble of its own, and may get over it.
  bool let_go = spool_->checkpoint().number > 0;
  if (!answer->exit.success() && (let_go || released_)) {
    if (unanswered_++ < (let_go ? kRevivalsMax : kUnansweredMax)) return revive_after(settings_.revive_after * 8);
    if (let_go)
      return fail(
          {Fault::kConsumerFailed, "ZFS does not say how far it is (see its words above)",
           "run the same command again once it does: the store keeps what it has; if the dataset is gone or its "
           "receive was given up, so is this stream (zferry store prune " +
               settings_.store->folder + ")"});
  }
  if (answer->exit.success()) unanswered_ = 0;
  if (answer->exit.success() && answer->output.size() > 1) {
    auto token = zstream::decode_resume_token(answer->output);
    if (!token) return fail(token.take_error());
    return resume_at(*token);
  }
  ask_snapshot();
}

void Intake::resume_at(const zstream::ResumeToken& token) {
  auto from = first_state();
  if (!from) return fail(from.take_error());
  auto rest = zstream::ResumingStream::begin(std::move(from->context), token);
  if (!rest) return fail(rest.take_error());
  info("ZFS kept what it had taken of " + session_.open.name + ": going on there (object " +
       std::to_string(token.object) + ", offset " + std::to_string(token.offset) + "), from the store");
  launch(std::make_unique<zstream::ResumingStream>(std::move(*rest)));
}

// Of many snapshots some are there, and one may be there in part: on whichever dataset, so all are looked at. A ZFS
// that knows no tokens fails, and has none.
void Intake::ask_parts() {
  if (!receive_) return ask_snapshots_below({});
  auto told = [this](const Result<Question::Answer>& answer) {
    if (over_) return;
    if (!answer) return fail(answer.error());
    zstream::ReceivedSoFar received;
    each_line(*answer, [&](std::string_view name, std::string_view value) {
      if (auto token = zstream::decode_resume_token(value)) received.tokens.emplace(name, std::move(*token));
    });
    ask_snapshots_below(std::move(received));
  };
  ask(receive_->ask_tokens_below(session_.open.name), std::move(told));
}

void Intake::ask_snapshots_below(zstream::ReceivedSoFar received) {
  auto told = [this, received = std::move(received)](const Result<Question::Answer>& answer) mutable {
    if (over_) return;
    if (!answer) return fail(answer.error());
    each_line(*answer, [&](std::string_view name, std::string_view value) {
      std::uint64_t guid = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), guid);
      bool number = error == std::errc() && end == value.data() + value.size();
      if (number && name.find('@') != std::string_view::npos) received.snapshots.emplace(name, guid);
    });
    if (received.snapshots.empty() && received.tokens.empty()) return start_over();
    received.place_of = [command = *fills_](const std::string& dataset) { return command.dataset_of(dataset); };
    auto rest = std::make_shared<zstream::RestOfCompound>(std::move(received));
    once_synced([this, rest] {
      info("the consumer gets what ZFS lacks of " + session_.open.name + ", from the store");
      launch(std::make_unique<zstream::RestOfCompound>(std::move(*rest)));
    });
  };
  ask(fills_->ask_guids_below(session_.open.name), std::move(told));
}

// A snapshot can be seen a moment before it is on the disks for good. Where ZFS knows no such command it has no such
// moment to speak of.
void Intake::once_synced(std::function<void()> then) {
  ask(fills_->sync_pool(session_.open.name), [this, then = std::move(then)](const Result<Question::Answer>&) {
    if (!over_) then();
  });
}

// Where the tail was let go, the snapshot may be there, whatever became of the consumer or of the process before.
void Intake::ask_snapshot() {
  if (!fills_ || !released_) return start_over();
  ask(fills_->ask_guid(session_.open.name), [this](const Result<Question::Answer>& guid) { got_guid(guid); });
}

// The process before may have died between the consumer's exit and the completion record.
void Intake::got_guid(const Result<Question::Answer>& answer) {
  if (!answer) return fail(answer.error());
  KeptFinal final = *released_;
  if (!answer->exit.success() || answer->output != std::to_string(final.toguid)) return start_over();
  once_synced([this, final] {
    info("ZFS has the snapshot: it was complete before this end was started anew");
    events_.had_it(final);
  });
}

void Intake::start_over() {
  if (spool_->checkpoint().number == 0) {
    if (found() != nullptr || revivals_ > 0) info("the consumer gets the stream from its start, from the store");
    return launch(nullptr);
  }
  fail({Fault::kStoreFailed,
        "ZFS no longer has what it had taken of " + session_.open.name +
            ", and the store let go of that part (the receive was given up, or the dataset destroyed)",
        "give up what is left (zferry store prune " + settings_.store->folder + "), and send it anew"});
}

// A receive that was cut earlier blocks the dataset: the operator decides what becomes of it, and needs the exact
// words.
void Intake::explain_failure(Error why) {
  auto tell = [this, why = std::move(why)](const Result<Question::Answer>& answer) mutable {
    bool partial = answer && answer->exit.success() && zstream::decode_resume_token(answer->output).ok();
    if (partial)
      why.next =
          "the dataset holds part of an earlier receive, and takes nothing else before that is completed (at the "
          "source: zferry send ... -- zfs send -t " +
          answer->output + ") or given up for good (here: " + receive_->give_up_command(session_.open.name) + ")";
    fail(std::move(why));
  };
  ask(receive_->ask_token(session_.open.name), std::move(tell));
}

}  // namespace zferry::pipeline
