// SimHost: one simulated machine: what a program sees of it (as PosixHost gives it), what a test scripts and breaks,
// and the disk and children that are left when the program crashes. Made by SimWorld::add_host(). Single-threaded.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/sim_child.h"
#include "io/sim_core.h"
#include "io/sim_fault.h"
#include "io/sim_files.h"
#include "io/sim_loop.h"
#include "io/sim_network.h"
#include "io/sim_process.h"

namespace zferry::io {

class SimHost {
 public:
  SimHost(SimCore& core, SimFabric& fabric, std::size_t site, std::string name);
  SimHost(const SimHost&) = delete;
  SimHost& operator=(const SimHost&) = delete;
  ~SimHost();

  // For the program, of the present run (after a crash: of the last one, and dead until restart()). They stay valid as
  // long as the world, so what a crashed program left can be destroyed at leisure.
  Loop& loop();
  Network& network();
  Processes& processes();
  Files& files();
  void on_interrupt(std::function<void(int)> handler) { interrupt_ = std::move(handler); }

  // For the test.
  const std::string& name() const { return name_; }
  bool up() const { return life_->alive; }
  // Everything of the program stops, at once and for ever: no timer fires, no completion is called. May be called from
  // inside the program's own calls (a disk hook): what it still calls then does nothing. No effect when down already.
  void crash(SimCrash how = SimCrash::kKilled);
  // A new run over the same disk. REQUIRES: !up().
  void restart();
  // SIGINT or SIGTERM, on the loop. Without a handler: crash(kKilled).
  void interrupt(int signal_number);
  SimDisk& disk() { return disk_; }

  // Children by argv[0]; the latest of a name counts.
  void add_program(const std::string& name, SimProgram program);
  void add_program(const std::string& name, SimProgramMaker maker);
  // In the order of spawning, over all runs.
  std::size_t child_count() const { return children_.size(); }
  const SimChildRecord& child(std::size_t index) const { return children_[index]->record(); }
  const SimChildRecord& last_child() const;
  // Signals from someone else, or on behalf of the system's out-of-memory killer.
  void signal_child(std::size_t index, int signal_number) { children_[index]->send_signal(signal_number); }

  // Standard input ends at once, and standard output collects, where nothing else is said. Each call of
  // Files::standard_input() starts the script from its beginning.
  void set_standard_input(SimProducer script) { standard_input_ = std::move(script); }
  void set_standard_output(SimConsumer script) { standard_output_ = std::move(script); }
  // Of the latest run that opened it. REQUIRES: one did.
  const SimChildRecord& standard_input() const;
  const SimChildRecord& standard_output() const;

 private:
  class Children;
  struct Run;
  struct Program {
    std::string name;
    SimProgramMaker maker;
  };
  Result<std::unique_ptr<Child>> spawn(const SimLifeRef& life, const std::vector<std::string>& argv, PipeEnd end);
  std::unique_ptr<ByteStream> open_standard(const SimLifeRef& life, bool input);
  void start();

  SimCore& core_;
  SimFabric& fabric_;
  std::size_t site_;
  std::string name_;
  SimLifeRef life_;
  std::vector<std::unique_ptr<Run>> runs_;
  std::vector<Program> programs_;
  std::vector<std::unique_ptr<SimProcess>> children_;
  std::vector<std::unique_ptr<SimProcess>> standard_inputs_;
  std::vector<std::unique_ptr<SimProcess>> standard_outputs_;
  SimProducer standard_input_;
  SimConsumer standard_output_;
  SimDisk disk_;
  std::function<void(int)> interrupt_;
};

}  // namespace zferry::io
