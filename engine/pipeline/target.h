// Target: one run of `zferry recv`: meets the source, runs the session by TargetCore's decisions, feeds the
// Intake from the lanes. It lives on when the source dies: the same command there continues here; and with a store it
// goes on for a target that died itself. Mirror: source.h. Threading: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/lifeline.h"
#include "pipeline/completion_record.h"
#include "pipeline/core_driver.h"
#include "pipeline/host.h"
#include "pipeline/intake.h"
#include "pipeline/link.h"
#include "pipeline/report.h"
#include "pipeline/settings.h"
#include "session/target_core.h"

namespace zferry::pipeline {

class Target {
 public:
  // `done` is called once, from the loop. REQUIRES: host and settings outlive this object.
  Target(Host& host, const TargetSettings& settings, std::function<void(const Report&)> done);
  ~Target();
  void start();
  // An operator's signal.
  void interrupt(int signal_number);
  Progress progress() const;
  // How it stands, for an operator who will not wait for the ending.
  Report abandoned() const;
  session::TargetState state() const { return driver_.state(); }

 private:
  using Driver = CoreDriver<session::TargetCore, session::TargetTraits, session::TargetNews>;
  using Event = session::TargetEvent;
  using State = session::TargetState;

  void act(session::TargetAction action);
  Link::Events link_events();
  const session::TargetCore& core() const { return driver_.core(); }
  void link_down(const Error& why);
  void link_lost(Error why);
  void lane_message(Lane& lane, wire::FrameType type, ConstBytes bytes);
  void serve_message(std::uint64_t lane, std::uint64_t run, wire::FrameType type, ConstBytes bytes);
  void got_abort(Lane& lane, ConstBytes bytes);
  bool untouched() const;
  void got_leave(const Lane& lane);
  void got_block(Lane& lane, const wire::Block& header, flow::Slice packed);
  void broke(Error why) { driver_.feed(Event::kPeerBroke, {std::move(why)}); }
  bool still_moving();

  // target_opening.cc: who may open, and how.
  void got_open(Lane& lane, const wire::Open& open);
  void open_first(Lane& lane, const wire::Open& open);
  void open_again(Lane& lane, const wire::Open& open);
  void challenge(Lane& lane, const wire::Open& open);
  void take_over(Lane& lane, const wire::Open& open);
  void rewind(std::function<void()> done);
  void refuse_open(Lane& lane, const std::string& why, const std::string& next);
  std::string what_waits(const Lane& asker) const;
  std::string done_name(const wire::Id& identity, const Principal& principal) const;
  std::string told_name(const Principal& principal) const;
  Status find_record(const wire::Open& open, const Principal& principal);
  bool record_counts() const;
  void agree(const wire::Open& open);
  void send_opened(bool already);

  void got_final(const wire::Final& final);
  void compare(const wire::Final& final);
  bool same_as_record(const wire::Final& final) const;
  Error another_stream(const wire::Final& final) const;
  Intake::Events intake_events();
  void opened_store(const Status& opened);
  bool take_up(const KeptSession& found);
  void start_consumer();
  void consumer_ready();
  void drop_consumer();
  void delivered(wire::Completion how);
  void write_down(const CompletionRecord& record);
  void retire_record();
  void send_ack(bool in_any_case);
  void repeat_ack(const wire::Ack& ack);
  void say_needs();
  void send_final_ack();
  void send_abort();
  void finish();
  void info(const std::string& text) const;
  void warn(const std::string& text) const;

  Host& host_;
  const TargetSettings& settings_;
  std::function<void(const Report&)> done_;
  Driver driver_;

  flow::BufferPool packed_pool_;
  Link link_;
  Intake intake_;
  bool dropping_ = false;  // the consumer was told to end and has not yet
  bool finish_waits_ = false;

  wire::Open open_;  // of the run that has the session
  Principal principal_{};
  std::uint64_t opened_lane_ = 0;      // where OPENED goes
  std::uint64_t challenger_lane_ = 0;  // of a run that waits for the session's own to show that it lives
  std::uint64_t challenger_run_ = 0;
  bool stored_ = false;   // the session is one that the store had
  bool had_it_ = false;   // the destination was found complete
  bool kept_on_ = false;  // the store could not let go of a stream that is complete
  bool rewinding_ = false;
  bool resumed_ = false;           // a later run took over, ...
  std::uint64_t resumed_at_ = 0;   // ... before this block
  ResumePoint resume_point_{};     // as it stood then,
  std::uint64_t resumed_run_ = 0;  // for this run
  bool newer_run_ = false;         // it took over, and is not answered yet
  bool answers_ = false;           // OPENED said that it was already received
  Duration hold_{0};
  std::uint8_t lanes_ = 1;
  std::string record_name_;  // of what is complete, and whose source may not know it yet
  std::string told_name_;    // of the last of this source whose source did
  seal::SecretBytes leaf_key_;
  std::optional<CompletionRecord> record_;
  std::optional<wire::Final> final_;
  wire::Ack last_ack_;
  bool ack_waits_ = false;     // one at a time: the source may read them as slowly as it likes
  std::optional<Error> left_;  // the source went, and what it had brought is kept
  std::uint64_t sent_when_asked_ = 0;
  std::uint64_t kept_bytes_ = 0;  // of the stream, at the last take-over
  Report report_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
