// A journey played: one target, and a source that an operator runs again until it succeeds, under the strikes of its
// scenario. What must hold is checked as things happen, and at the end. Single-threaded, one seed is one run.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "journey_scenario.h"
#include "transfer_end.h"
#include "transfer_run.h"

namespace zferry::transfer {

class JourneyRun {
 public:
  JourneyRun(const Journey& journey, Tally& tally, std::size_t trace_lines);
  ~JourneyRun();
  // Plays it; what is broken, with the promise's name before the first ':'.
  std::vector<std::string> play();
  std::string trace() const { return world_.trace(); }

 private:
  using SourceSide = Side<pipeline::Source, pipeline::SourceSettings>;
  using TargetSide = Side<pipeline::Target, pipeline::TargetSettings>;
  enum class Who { kMain, kRival, kOther, kStranger };
  struct SourceRun {
    Who who = Who::kMain;
    std::size_t stream = 0;      // of streams_
    std::size_t target_run = 0;  // that was there when it began
    bool hurt = false;           // killed, or interrupted
    bool met_a_session = false;  // of another, that lived
    bool failing_producer = false;
    EndLog log;
  };
  struct TargetRun {
    EndLog log;
    Delivery delivery;
    std::vector<bool> candidates;  // streams that what it took is a prefix of
    bool whole = false;            // the file has all of a stream
    std::size_t child = 0;         // the consumer's number at the host
    bool hurt = false;
    bool lost_power = false;
  };
  // One source that runs, or none.
  struct Place {
    std::unique_ptr<SourceSide> side;
    io::SimHost* host = nullptr;
    SourceRun* run = nullptr;
    bool alive() const { return side && side->end; }
  };

  // The operator.
  void start_target();
  void start_source();
  void start_guest(Who who);
  void launch(Place& place, Who who, std::size_t stream, const SourceShape& shape);
  void prepare_input(io::SimHost& host, std::size_t stream, const SourceShape& shape);
  void prepare_destination();
  io::SimConsumer consumer_script(std::size_t run);
  void took(std::size_t run, std::uint64_t offset, ConstBytes bytes);
  void source_over();
  void target_over();
  void bring_back_target(Duration delay);
  void settle();
  bool over() const;
  void end_idle();

  // The strikes.
  void on_event(Place* place, std::string_view state, std::string_view event);
  void check_strikes();
  bool armed() const;
  void due(const JourneyStrike& strike);
  void strike(const JourneyStrike& strike);
  void strike_lanes(const JourneyStrike& strike);
  void part(Duration how_long);
  void crash_source(io::SimCrash how);
  void crash_target(io::SimCrash how);
  std::vector<io::SimConnection*> lanes();

  // The promises.
  void check(const std::string& promise, bool holds, const std::string& detail = {});
  bool only_guests() const;
  void judge_source(const SourceRun& run);
  void judge_target(const TargetRun& run);
  void judge_ack(const wire::Ack& ack);
  void judge_faults(const EndLog& log, bool source);
  void judge_all();
  bool delivered(const TargetRun& run, std::size_t stream) const;
  bool delivered(std::size_t stream) const;
  std::string story() const;

  const Journey journey_;
  Tally& tally_;
  CheapDh dh_;
  io::SimWorld world_;
  io::SimHost& source_host_;
  io::SimHost& rival_host_;
  io::SimHost& target_host_;
  std::vector<std::vector<std::byte>> streams_;  // the right one; another one's; then changed ones, by shape
  std::vector<std::size_t> stream_of_shape_;
  std::deque<SourceRun> sources_;
  std::deque<TargetRun> targets_;
  Place main_, guest_;
  std::unique_ptr<TargetSide> target_;
  std::size_t children_at_start_ = 0;
  std::vector<JourneyStrike> pending_;
  std::map<std::string, std::uint64_t> row_counts_;
  std::size_t main_runs_ = 0;
  unsigned failures_in_a_row_ = 0, busy_in_a_row_ = 0, different_in_a_row_ = 0;
  unsigned target_failures_in_a_row_ = 0;
  bool idle_end_due_ = false;
  bool completed_ = false;  // the stream got there and its source knows
  bool gave_up_ = false;    // the operator
  bool interrupted_by_operator_ = false;
  bool flipped_ = false;
  bool parted_ = false;
  TimePoint healed_{};
  std::vector<std::string> broken_;
};

}  // namespace zferry::transfer
