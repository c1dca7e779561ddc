// SimWorld: hosts, network, disks, clocks and children in one process, one thread and one event queue. One seed is one
// run, to the byte. It is the third io back end: SimHost gives the same Loop, Network, Processes and Files as
// PosixHost. How a test reads:
//
//   SimWorld world(seed);
//   SimHost& source = world.add_host("source");
//   SimHost& target = world.add_host("target");                    // "target:9443" is its address
//   source.add_program("zfs-send", SimProducer{.source = sim_source(bytes)});
//   target.add_program("zfs-receive", SimConsumer{.bytes_per_second = 50'000'000});
//   world.network().link().latency = std::chrono::milliseconds(20);
//   world.network().plan(0, {.action = SimFault::Action::kReset, .after_bytes = 100'000});
//   ... start the programs on source.loop(), target.loop() ...
//   bool finished = world.run_until([&] { return source_done && target_done; }, std::chrono::hours(1));
//   EXPECT_EQ(target.last_child().content, bytes);
//
// - Time is virtual and moves only between events; posted tasks run at the present moment, in order. Everything else
// takes a
//   small random time (SimTimings), so completions of different things come in any order that a kernel could choose.
// - Faults: of links and connections in sim_fault.h (by SimFabric::plan(), on_connection(), SimConnection, or by chance
// with set_chaos()),
//   of children in sim_child.h, of disks in SimDisk, of whole hosts by SimHost::crash() and restart().
// - Crash: first SimHost::crash(), then destroy the program's objects, in any order and at any later time, then
// restart().
//   The world must outlive only what calls it: streams, listeners and children may be destroyed after it, users of
//   Loop& may not.
// - What the kernel may do late is done late: the memory of an operation whose stream was destroyed is written to (or
// read) once more.
// - When a promise breaks: print the seed; run it again with keep_trace(), and print trace().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/sim_core.h"
#include "io/sim_host.h"
#include "io/sim_network.h"

namespace zferry::io {

class SimWorld {
 public:
  explicit SimWorld(std::uint64_t seed, const SimTimings& timings = {});
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  // The reference stays valid. Names are what connect() resolves.
  SimHost& add_host(const std::string& name);
  SimFabric& network() { return fabric_; }
  // The run's randomness, for what the test scripts itself.
  SeededRandom& random() { return core_.random(); }

  TimePoint now() const { return core_.now(); }
  std::uint64_t events_run() const { return core_.events_run(); }
  // Calls `task` in so much virtual time; it belongs to no host, no crash takes it away.
  void after(Duration delay, std::function<void()> task) { core_.after(delay, nullptr, std::move(task)); }
  // The next event; false when there is none.
  bool step() { return core_.step(); }
  // Runs events until the predicate, asked before each, is true, for at most so much virtual time. Whether it became
  // true. Also gives up when no event is left, and after `events_max` of them: a program that spins would never let
  // time pass.
  bool run_until(const std::function<bool()>& predicate, Duration at_most, std::uint64_t events_max = 20'000'000);
  void run_for(Duration time);

  // Keeps the last `lines` lines of what happened. Off at first, and cheap then.
  void keep_trace(std::size_t lines) { core_.keep_trace(lines); }
  // Adds a line of the test's own, with the time in front.
  void note(const std::string& line) { core_.trace("%s", line.c_str()); }
  bool tracing() const { return core_.tracing(); }
  std::vector<std::string> trace_lines() const { return core_.trace_lines(); }
  // Them in one text.
  std::string trace() const;

 private:
  SimCore core_;
  SimFabric fabric_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
};

}  // namespace zferry::io
