// TargetSession: one stream's journey at the target, from an established lane to its ending. Mirror: source.h.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/lifeline.h"
#include "pipeline/completion_record.h"
#include "pipeline/host.h"
#include "pipeline/lane.h"
#include "pipeline/receive_pipeline.h"
#include "pipeline/report.h"
#include "pipeline/settings.h"
#include "session/target_core.h"

namespace zferry::pipeline {

class TargetSession {
 public:
  // `known_only`: nothing new is taken, only a stream that was received already. `done` is called once, from the loop.
  TargetSession(Host& host, const TargetSettings& settings, bool known_only, std::function<void(const Report&)> done);
  ~TargetSession();
  void lane_up(EstablishedLane established);
  // The session cannot begin: no lane came to be.
  void fail_to_meet(Error why);
  void interrupt(int signal_number);
  Progress progress() const;
  Report abandoned() const;
  session::TargetState state() const { return core_.state(); }

 private:
  using Event = session::TargetEvent;
  struct News {
    Event event;
    session::TargetNews news;
  };

  void feed(Event event, session::TargetNews news = {});
  void breach(const Error& error) { feed(Event::kLocalFailed, {error}); }
  void serve_news();
  void act(session::TargetAction action);
  void arm_deadline();
  void lane_message(wire::FrameType type, ConstBytes bytes);
  void got_open(const wire::Open& open);
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
  const bool known_only_;
  std::function<void(const Report&)> done_;
  session::TargetCore core_;
  std::deque<News> news_;
  bool news_scheduled_ = false;
  io::TimerId deadline_timer_ = 0;
  TimePoint armed_for_ = kNever;

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
  Report report_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
