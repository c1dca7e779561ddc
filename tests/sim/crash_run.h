// A crash journey played: a target with a store and a source, which their operators start again until the stream has
// arrived, under the strikes and disk faults of its scenario. What must hold is checked as things happen, and at the
// end. Single-threaded, one seed is one run.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "crash_scenario.h"
#include "sim_zfs.h"
#include "transfer_end.h"
#include "transfer_run.h"
#include "watches.h"

namespace zferry::transfer {

inline constexpr char kStore[] = "/store";

class CrashRun {
 public:
  CrashRun(const CrashJourney& journey, Tally& tally, std::size_t trace_lines);
  ~CrashRun();
  // Plays it; what is broken, with the promise's name before the second ':'.
  std::vector<std::string> play();
  std::string trace() const { return world_.trace(); }

 private:
  using SourceSide = Side<pipeline::Source, pipeline::SourceSettings>;
  using TargetSide = Side<pipeline::Target, pipeline::TargetSettings>;
  template <class S>
  struct Place {
    std::unique_ptr<S> side;
    EndLog* log = nullptr;
    bool alive() const { return side && side->end; }
  };

  // What the store holds before.
  void make_streams();
  void send_earlier();
  void damage_store();

  // The operators.
  void arm();
  void set_up_target();
  void set_up_source(const std::vector<std::byte>& stream);
  void start_target();
  void start_source();
  void prepare_destination();
  io::SimConsumer plain_consumer();
  void settle();
  void source_over();
  void target_over();
  void bring_back_target(Duration delay);
  void end_idle();
  bool over() const;

  // The strikes.
  void on_event(bool source, std::string_view state, std::string_view event);
  void on_folder_call(const io::SimFolderCall& call);
  void check_strikes();
  void take_pending(const std::function<bool(const CrashStrike&)>& due);
  void strike(const CrashStrike& what);
  void crash_target(io::SimCrash how);
  void crash_source(io::SimCrash how);
  void kill_consumer();
  void cut_lanes(Duration stall);
  void cut_lane(unsigned lane);

  // The promises.
  void check(const std::string& promise, bool holds, const std::string& detail = {});
  void took(std::size_t child, std::uint64_t offset, ConstBytes bytes);
  void judge_ack(const wire::Ack& ack);
  void hear_need(const wire::Need& need);
  void count_chunks(const ChunkWatch& before);
  void judge_source(const EndLog& log);
  void judge_target(const EndLog& log);
  // An operator may end it without having the stream.
  bool hopeless() const { return journey_.disk_trouble() || zfs_forgot_; }
  void judge_fault(const EndLog& log, bool source);
  void judge_all();
  void judge_store();
  bool delivered() const;
  std::string story() const;

  const CrashJourney journey_;
  Tally& tally_;
  CheapDh dh_;
  io::SimWorld world_;
  io::SimHost& source_host_;
  io::SimHost& target_host_;
  std::vector<std::byte> stream_;
  std::vector<std::byte> earlier_;  // of another stream, that the store was given before
  std::uint64_t guid_ = 0;
  std::unique_ptr<SimZfs> zfs_;
  std::deque<EndLog> sources_, targets_;
  Place<SourceSide> source_;
  Place<TargetSide> target_;
  std::vector<CrashStrike> pending_;
  std::map<std::string, std::uint64_t> row_counts_;
  bool plain_has_all_ = false;      // some consumer took everything, and left content
  std::uint64_t durable_told_ = 0;  // to this run of the source
  std::uint32_t life_told_ = 0;
  std::set<std::uint64_t> answered_;  // blocks whose chunks this run of the target has looked for
  unsigned target_crashes_ = 0, consumer_kills_ = 0;
  bool zfs_forgot_ = false;  // what it kept of a receive
  bool store_lost_ = false;  // and it was announced
  TimePoint last_trouble_{};
  unsigned target_failures_ = 0, source_failures_ = 0;
  bool bringing_back_ = false;
  bool completed_ = false;  // the stream got there and its source knows
  bool gave_up_ = false;    // the operator, for want of a disk
  bool idle_end_due_ = false;
  std::vector<std::string> broken_;
};

}  // namespace zferry::transfer
