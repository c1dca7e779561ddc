// Source: one run of `zferry send`: meets the target, runs the session by SourceCore's decisions, feeds the lane from
// the SendPipeline. Mirror: target.h. Threading: the loop's.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/lifeline.h"
#include "pipeline/host.h"
#include "pipeline/lane.h"
#include "pipeline/meeting.h"
#include "pipeline/report.h"
#include "pipeline/send_pipeline.h"
#include "pipeline/settings.h"
#include "session/source_core.h"

namespace zferry::pipeline {

class Source {
 public:
  // `done` is called once, from the loop. REQUIRES: host and settings outlive this object.
  Source(Host& host, const SourceSettings& settings, std::function<void(const Report&)> done);
  ~Source();
  void start();
  // An operator's signal.
  void interrupt(int signal_number);
  Progress progress() const;
  // How it stands, for an operator who will not wait for the ending.
  Report abandoned() const;
  session::SourceState state() const { return core_.state(); }

 private:
  using Event = session::SourceEvent;
  struct News {
    Event event;
    session::SourceNews news;
  };
  // A block on the link, until the target has it.
  struct Unacknowledged {
    std::uint64_t number;
    std::uint64_t end_offset;
    flow::Slice packed;
  };

  void feed(Event event, session::SourceNews news = {});
  void serve_news();
  void act(session::SourceAction action);
  void arm_deadline();
  void lane_up(EstablishedLane established);
  void lane_message(wire::FrameType type, ConstBytes bytes);
  void got_ack(const wire::Ack& ack);
  void start_input();
  void stop_input();
  void start_flow(bool compare_only);
  void pump();
  void check_whole();
  Status judge_input();
  void warn(const std::string& text) const;
  void send_open();
  void send_final();
  void send_abort();
  void finish();
  Bottleneck bottleneck() const;

  Host& host_;
  const SourceSettings& settings_;
  std::function<void(const Report&)> done_;
  session::SourceCore core_;
  std::deque<News> news_;
  bool news_scheduled_ = false;
  io::TimerId deadline_timer_ = 0;
  TimePoint armed_for_ = kNever;

  std::unique_ptr<Dialling> dialling_;
  std::unique_ptr<Reception> reception_;
  flow::BufferPool no_blocks_{0, 0};  // a source's lane receives none
  std::unique_ptr<Lane> lane_;
  std::uint64_t wire_bytes_before_ = 0;

  std::unique_ptr<io::Child> producer_;
  std::unique_ptr<io::ByteStream> input_;
  std::optional<io::ExitStatus> producer_exit_;
  std::unique_ptr<SendPipeline> pipeline_;
  std::optional<wire::Opened> opened_;
  std::deque<Unacknowledged> unacknowledged_;
  std::uint64_t next_number_ = 0;
  bool input_judged_ = false;
  bool whole_ = false;  // the core was told how the input ended
  wire::Id identity_{};
  std::string marker_;
  Report report_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
