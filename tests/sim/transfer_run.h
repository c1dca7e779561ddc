// The whole program under the simulator: Source and Target on two hosts, by a scenario, in one or two runs. It records
// what each end did and said; transfer_promises.h judges. Single-threaded, one seed is one run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "flow/workers.h"
#include "io/sim_world.h"
#include "pipeline/source.h"
#include "pipeline/target.h"
#include "transfer_dh.h"
#include "transfer_scenario.h"

namespace zferry::transfer {

template <class End, class Settings>
struct Side;

// What a run meets.
struct Troubles {
  std::vector<Strike> strikes{};
  bool producer = false;  // the scenario's
  bool consumer = false;
};

// What a run of an end left.
struct EndLog {
  std::optional<pipeline::Report> report;  // none: its host crashed, or it hangs
  bool crashed = false;
  bool interrupted_by_test = false;  // a listener whose peer will not come
  std::set<std::string> rows;        // "state | event"
  std::vector<std::string> warnings;
  bool over() const { return report || crashed; }
  bool saw(const std::string& state, const std::string& event) const { return rows.count(state + " | " + event) != 0; }
  bool saw_event(const std::string& event) const;
  // Of a source: from here on its next run does not ask for the outcome of this one.
  bool forgot_marker() const { return saw("closing", "link-closed") || saw("closing", "deadline"); }
  // The ends have met: at the source a lane is up, at the target a session was opened.
  bool met() const { return saw_event("link-up") || saw_event("open-new") || saw_event("open-known"); }
  Fault fault() const { return report ? report->ending.error.fault : Fault::kNone; }
  bool succeeded() const { return report && report->ending.ok(); }
};

// What became of the stream at the target, over all destinations of one run of the target.
struct Delivery {
  std::size_t started = 0;   // destinations, consumers most of all
  std::uint64_t taken = 0;   // bytes, by the last one
  bool wrong_bytes = false;  // something else than the stream's next bytes
  bool applied = false;      // a consumer's exit 0 after everything, a committed file, a full standard output
  bool still_ran_at_report = false;
};

// One run: a source and a target that were started together. In a rerun of the source alone, `target` is the first's.
struct RunLog {
  EndLog source, target;
  Delivery delivery;
  std::vector<std::byte> stream;  // what the input gives
  bool finished = false;          // in bounded time
  Troubles troubles{};
  bool link_struck = false;  // or a process died: the ends cannot know the same
  Duration stalled{0};
  bool target_lost_power = false;
  bool interrupted = false;
  bool flipped = false;
  bool record_missing_at_final_ack = false;
  std::size_t events = 0;
};

// Counts over all seeds: rows of both tables ("source | streaming | ack") and whatever the promises count.
using Tally = std::map<std::string, std::uint64_t>;

class Transfer {
 public:
  Transfer(const Scenario& scenario, Tally& tally);
  ~Transfer();
  // Returns nothing; the logs hold what happened. `content_seed` of the stream.
  void run_both(const Troubles& troubles, std::uint64_t content_seed);
  // As run_both() with the scenario's troubles, but as soon as the source is over, another one starts.
  void run_with_second_source(std::uint64_t content_seed);

  std::vector<RunLog>& runs() { return runs_; }
  io::SimWorld& world() { return world_; }
  io::SimHost& source_host() { return source_host_; }
  io::SimHost& target_host() { return target_host_; }
  // Whether the destination of that run has exactly the whole stream. Standard output is taken after the program's end.
  bool complete(const RunLog& run) const;
  bool marker_on_disk() const;
  bool record_on_disk() const;
  // Children that outlived their program by five seconds, and a listener that is still there.
  std::vector<std::string> leftovers();
  const Scenario& scenario() const { return scenario_; }

 private:
  using SourceSide = Side<pipeline::Source, pipeline::SourceSettings>;
  using TargetSide = Side<pipeline::Target, pipeline::TargetSettings>;

  void prepare_hosts();
  void prepare_input();
  void prepare_destination();
  io::SimConsumer consumer_script();
  bool meets(Trouble trouble) const { return has(troubles_.strikes, trouble); }
  void plan_strikes();
  void start_source();
  void start_target();
  void settle(EndLog& log, bool is_source);
  void tick();
  void on_event(bool source, std::string_view state, std::string_view event);
  void strike_by_state(bool source, std::string_view state, std::string_view event);
  void strike(const Strike& strike);
  void strike_link(io::SimFault fault);
  void note_link_trouble(const io::SimFault& fault);
  void give_up_waiting();
  RunLog& now() { return runs_[current_]; }

  const Scenario scenario_;
  Tally& tally_;
  CheapDh dh_;
  io::SimWorld world_;
  io::SimHost& source_host_;
  io::SimHost& target_host_;
  std::vector<RunLog> runs_;
  std::size_t current_ = 0;     // of runs_: the source's
  std::size_t target_run_ = 0;  // of runs_: the target's
  Troubles troubles_;
  bool first_connection_ = true;  // of this run
  std::uint64_t events_at_start_ = 0;
  std::size_t children_at_start_ = 0;  // at the target
  std::vector<Strike> pending_;
  bool giving_up_ = false;
  std::unique_ptr<io::Listener> stranger_;  // where the port is taken
  std::unique_ptr<SourceSide> source_;
  std::unique_ptr<TargetSide> target_;
};

}  // namespace zferry::transfer
