#include "pipeline/target.h"

#include <utility>

namespace zferry::pipeline {

Target::Target(Host& host, const TargetSettings& settings, std::function<void(const Report&)> done)
    : host_(host), settings_(settings), done_(std::move(done)) {}

Target::~Target() { host_.loop.cancel(linger_timer_); }

void Target::start() {
  session_ =
      std::make_unique<TargetSession>(host_, settings_, "", [this](const Report& report) { session_over(report); });
  // A success that cannot be written down is none: say so before anybody sends anything.
  if (Status prepared = host_.files.state().prepare(); !prepared) return session_->fail_to_meet(prepared.take_error());
  if (!settings_.meeting.listen) {
    dialling_ = std::make_unique<Dialling>(host_, settings_.meeting, settings_.lane, wire::Role::kTarget,
                                           lifeline_.guard([this](Result<EstablishedLane> lane) {
                                             if (!lane) return session_->fail_to_meet(lane.take_error());
                                             session_->lane_up(std::move(*lane));
                                           }));
    return dialling_->start();
  }
  reception_ =
      std::make_unique<Reception>(host_, settings_.meeting, settings_.lane, wire::Role::kTarget, settings_.notices,
                                  lifeline_.guard([this](EstablishedLane lane) { lane_up(std::move(lane)); }));
  if (Status listening = reception_->start(); !listening) session_->fail_to_meet(listening.take_error());
}

void Target::lane_up(EstablishedLane established) {
  if (completed_) {
    session_ = std::make_unique<TargetSession>(host_, settings_, completed_record_,
                                               [this](const Report& report) { session_over(report); });
  }
  session_->lane_up(std::move(established));
}

void Target::session_over(const Report& report) {
  if (completed_) {
    // A question was answered; whoever else asks may still be the one.
    if (!report.ending.ok()) return wait_for_question();
    return finish(*completed_);
  }
  // A lane that lasted as long as the linger has had its time, and an operator who interrupts wants no more of it.
  bool source_may_ask = report.ending.ok() && !report.source_informed && reception_ && !interrupted_ &&
                        destination_still_has(host_, settings_, report.progress.stream_bytes);
  if (!source_may_ask) return finish(report);
  completed_ = report;
  completed_record_ = session_->record_name();
  linger_timer_ = host_.loop.after(settings_.linger, lifeline_.guard([this] { finish(*completed_); }));
  if (settings_.notices.info)
    settings_.notices.info("the stream is complete here, but the source may not know: waiting " +
                           std::to_string(static_cast<int>(seconds(settings_.linger))) + " s for it to ask");
  wait_for_question();
}

void Target::wait_for_question() { reception_->set_busy(false); }

void Target::interrupt(int signal_number) {
  if (completed_) return finish(*completed_);
  interrupted_ = true;
  session_->interrupt(signal_number);
}

Progress Target::progress() const { return session_->progress(); }
Report Target::abandoned() const { return completed_ ? *completed_ : session_->abandoned(); }
session::TargetState Target::state() const { return session_->state(); }

void Target::finish(const Report& report) {
  if (std::exchange(over_, true)) return;
  host_.loop.cancel(linger_timer_);
  host_.loop.post(lifeline_.guard([this, report] { done_(report); }));
}

}  // namespace zferry::pipeline
