// Intake: what a target does with the blocks that come: into the store where there is one, through the pipeline, into
// the consumer; and a new consumer where the old one died and the store has what it lacks. Target decides about
// sessions, Intake about bytes. docs/STORE.md, "In a session". Threading: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/lifeline.h"
#include "pipeline/host.h"
#include "pipeline/question.h"
#include "pipeline/receive_command.h"
#include "pipeline/receive_pipeline.h"
#include "pipeline/resolver.h"
#include "pipeline/settings.h"
#include "pipeline/spool.h"
#include "wire/messages.h"
#include "zstream/rest_of_compound.h"
#include "zstream/settled_token.h"

namespace zferry::pipeline {

class Intake {
 public:
  struct Events {
    std::function<void()> progress;                  // ack() has news
    std::function<void(wire::Completion)> finished;  // the destination has everything
    std::function<void(const KeptFinal&)> had_it;    // it had, before this process was started
    std::function<void()> need;                      // next_need() has something
    std::function<void(Error)> broke;                // the source's fault; once
    std::function<void(Error)> failed;               // this end's; once
  };
  using Done = std::function<void(Status)>;
  // `pool` is that of the blocks that come. REQUIRES: host, settings and pool outlive this object.
  Intake(Host& host, const TargetSettings& settings, flow::BufferPool& pool, Events events);

  // Opens the store. At once where there is none.
  void open(Done done);
  // What it holds for this destination, of a process that died.
  const KeptSession* found() const;
  // Starts the consumer: for a new session, or to go on with what was found. `ready` once blocks may come; a failure is
  // told by Events::failed.
  void start(const KeptSession& session, std::function<void()> ready);
  bool started() const { return started_; }

  void take(const wire::Block& header, flow::Slice packed);
  // The source says what a block is made of: for a session whose chunk_key() is not all zero.
  void named(const wire::Chunks& chunks);
  // What the source is to be told of blocks' chunks: next, once; and all of it again, where that may have been lost.
  std::optional<wire::Need> next_need() { return resolver_ ? resolver_->next_need() : std::nullopt; }
  void say_needs_again() {
    if (resolver_) resolver_->say_again();
  }
  wire::Id chunk_key() const { return spooling() ? spool_->chunk_key() : wire::Id{}; }
  std::uint64_t found_bytes() const { return resolver_ ? resolver_->found_bytes() : 0; }
  // What the source is told; credit is granted by it.
  wire::Ack ack();
  void check_final(const wire::Final& final, std::function<void(Status)> verdict);
  void release();
  // Another run of the source goes on: `incarnation` says which, when asked. Calls `done` once all that came is joined
  // and it is written down who has the session.
  using RewindDone = std::function<void(const ResumePoint& point, std::uint64_t incarnation)>;
  void rewind(std::function<std::uint64_t()> incarnation, RewindDone done);
  void drop(std::function<void()> gone);
  // It is complete, and written down: the store need not keep it.
  void forget(Done done);

  bool untouched_since(std::uint64_t number) const;
  std::uint32_t life() const { return spool_ ? spool_->life() : 0; }
  std::uint64_t written_bytes() const { return pipeline_ ? pipeline_->written_bytes() : 0; }
  bool writing() const { return pipeline_ && pipeline_->writing(); }
  // REQUIRES: started() and the stream is whole.
  const ReceivePipeline& pipeline() const { return *pipeline_; }
  bool has_pipeline() const { return pipeline_ != nullptr; }

 private:
  ReceivePipeline::Window window() const { return {settings_.window_blocks, settings_.window_bytes}; }
  bool spooling() const { return spool_ && spool_->active(); }
  void look_for_chunks();
  bool here(std::uint64_t number) const;
  bool within_credit(std::uint64_t number, std::uint64_t offset, std::uint32_t raw_bytes) const;
  void take_resolved(Resolver::Resolved block);
  Status check_capacity() const;
  // Calls `f` unless the pipeline of now was buried meanwhile. (Its address would not tell: the next one may have it.)
  template <class F>
  auto of_this_pipeline(F f) {
    return [this, launch = launches_, f = std::move(f)](auto&&... arguments) mutable {
      if (pipeline_ && launches_ == launch) f(std::forward<decltype(arguments)>(arguments)...);
    };
  }
  bool compound() const { return session_.open.kind == wire::StreamKind::kCompound; }
  Result<StreamState> first_state() const;
  // With `rest`, the consumer gets that in place of the stream.
  void launch(std::unique_ptr<zstream::Remainder> rest);
  Result<std::unique_ptr<ReceivePipeline>> make_pipeline(std::unique_ptr<zstream::Remainder> rest);
  void pipeline_broke(Error why);
  void pipeline_failed(Error why);
  void fail(Error why);
  void on_progress();
  void store_full();
  void store_lost(Error why);

  // intake_revival.cc: a new consumer from where ZFS stands.
  bool may_revive(const Error& why) const;
  void bury_and_revive(const Error& why);
  void revive_after(Duration delay);
  void ask(const Argv& argv, std::function<void(const Result<Question::Answer>&)> told);
  void revive();
  void got_token(const Result<Question::Answer>& answer);
  void resume_at(const zstream::ResumeToken& token);
  void ask_parts();
  void ask_snapshots_below(zstream::ReceivedSoFar received);
  void once_synced(std::function<void()> then);
  void ask_snapshot();
  void let_go();
  void judge();
  void got_guid(const Result<Question::Answer>& answer);
  void start_over();
  void explain_failure(Error why);

  // intake_applied.cc: how far ZFS is.
  void watch_applied();
  void ask_applied();
  void sync_pool(const zstream::ResumeToken& shown);
  bool was_shown(const zstream::ResumeToken& token) const;
  void look_at(const Result<zstream::ResumeToken>& token, bool synced);
  std::optional<zstream::ResumeToken> settled(const zstream::ResumeToken& shown);
  void info(const std::string& text) const;
  void warn(const std::string& text) const;

  Host& host_;
  const TargetSettings& settings_;
  Events events_;
  std::optional<ReceiveCommand> fills_;    // the consumer's, where it is a receive: whether the snapshot is there
  std::optional<ReceiveCommand> receive_;  // the consumer's, where ZFS keeps what a cut leaves
  flow::BufferPool& pool_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Resolver> resolver_;  // where chunks are looked for
  std::unique_ptr<ReceivePipeline> pipeline_;
  std::unique_ptr<ReceivePipeline> dying_;
  KeptSession session_;
  std::function<void()> ready_;
  std::function<void()> rewinding_;    // asked for and not done: each new pipeline is asked again
  std::optional<KeptFinal> released_;  // the tail may have been let go, by this process or the one before
  std::function<void()> caught_up_;    // a rewind that waits until the pipeline has all that is in the store
  std::optional<wire::Final> final_;
  std::function<void(Status)> verdict_;
  bool started_ = false;
  bool releasing_ = false;
  bool over_ = false;
  bool full_told_ = false;
  bool can_sync_ = true;  // until it is known not to
  int fruitless_ = 0;
  std::uint64_t launches_ = 0;       // of pipelines
  std::function<void()> gone_;       // drop() waits for a consumer that dies
  std::uint64_t granted_ = 0;        // blocks below may come,
  std::uint64_t granted_bytes_ = 0;  // that end here or before
  std::uint64_t launched_at_ = 0;    // the first block of this consumer
  std::uint64_t furthest_ = 0;       // blocks below were delivered to one that died
  int unanswered_ = 0;               // questions in a row of where ZFS is
  int revivals_ = 0;                 // since the consumer last took something
  std::unique_ptr<Question> question_;
  std::unique_ptr<Question> applied_question_;
  zstream::SettledToken settled_;
  std::optional<zstream::ResumeToken> shown_token_;
  TimePoint shown_since_{};
  io::TimerId revival_timer_ = 0;
  io::TimerId applied_timer_ = 0;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
