// TargetSession: one stream's journey at the target, from an established lane to its ending. Mirror: source.h.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/lifeline.h"
#include "pipeline/completion_record.h"
#include "pipeline/core_driver.h"
#include "pipeline/host.h"
#include "pipeline/lane.h"
#include "pipeline/receive_pipeline.h"
#include "pipeline/report.h"
#include "pipeline/settings.h"
#include "session/target_core.h"

namespace zferry::pipeline {

class TargetSession {
 public:
  // `known_only`: the name of the one completion record that may be asked about; nothing new is taken. Empty: anything
  // is. `done` is called once, from the loop.
  TargetSession(Host& host, const TargetSettings& settings, std::string known_only,
                std::function<void(const Report&)> done);
  ~TargetSession();
  void lane_up(EstablishedLane established);
  // The session cannot begin: no lane came to be.
  void fail_to_meet(Error why);
  void interrupt(int signal_number);
  // Of the stream that this session is about; empty before OPEN.
  const std::string& record_name() const { return record_name_; }
  Progress progress() const;
  Report abandoned() const;
  session::TargetState state() const { return driver_.state(); }

 private:
  using Driver = CoreDriver<session::TargetCore, session::TargetTraits, session::TargetNews>;
  using Event = session::TargetEvent;

  const session::TargetCore& core() const { return driver_.core(); }
  void broke(Error why) { driver_.feed(Event::kPeerBroke, {std::move(why)}); }
  bool still_moving();
  void act(session::TargetAction action);
  void lane_message(wire::FrameType type, ConstBytes bytes);
  void serve_message(wire::FrameType type, ConstBytes bytes);
  void got_open(const wire::Open& open);
  bool record_counts(const std::optional<std::vector<std::byte>>& stored);
  void got_final(const wire::Final& final);
  void compare(const wire::Final& final);
  void start_consumer();
  void drop_consumer();
  void delivered(wire::Completion how);
  void send_opened(bool already);
  void send_ack();
  void send_abort();
  void finish();

  Host& host_;
  const TargetSettings& settings_;
  const std::string known_only_;
  std::function<void(const Report&)> done_;
  Driver driver_;

  flow::BufferPool packed_pool_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<ReceivePipeline> pipeline_;
  bool dropping_ = false;  // the consumer was told to end and has not yet
  bool finish_waits_ = false;

  wire::Open open_;
  std::string record_name_;
  seal::SecretBytes leaf_key_;
  std::optional<CompletionRecord> record_;
  wire::Ack last_ack_;
  bool ack_waits_ = false;  // one at a time: the source may read them as slowly as it likes
  std::uint64_t sent_when_asked_ = 0;
  Report report_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
