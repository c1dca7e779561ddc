// Target: one run of `zferry recv`: meets the source, runs the session by TargetCore's decisions, feeds the
// ReceivePipeline from the lane. A listening target whose source vanished after the end stays a while, for that source
// alone to ask what became of it. Mirror: source.h. Threading: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/lifeline.h"
#include "pipeline/host.h"
#include "pipeline/meeting.h"
#include "pipeline/report.h"
#include "pipeline/settings.h"
#include "pipeline/target_session.h"

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
  session::TargetState state() const;

 private:
  void lane_up(EstablishedLane established);
  void session_over(const Report& report);
  void wait_for_question();
  void finish(const Report& report);

  Host& host_;
  const TargetSettings& settings_;
  std::function<void(const Report&)> done_;
  std::unique_ptr<Dialling> dialling_;
  std::unique_ptr<Reception> reception_;
  std::unique_ptr<TargetSession> session_;
  std::string completed_record_;  // what a lingering target may be asked about
  bool interrupted_ = false;
  std::optional<Report> completed_;  // a success whose source does not know it yet
  io::TimerId linger_timer_ = 0;
  bool over_ = false;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
