// SimCore: what every part of the simulator shares: virtual time, the event queue, the one seeded random source, the
// trace. Single-threaded. Nothing in the simulator may depend on addresses, real clocks or hash order: one seed is one
// run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "io/byte_stream.h"
#include "io/sim_queue.h"

namespace zferry::io {

// How long the system takes over things, all uniform from 0 to what is named.
struct SimTimings {
  Duration io_delay_max = std::chrono::microseconds(20);  // from an operation's readiness to its completion
  std::uint64_t hiccup_one_in = 256;                      // every so many delays is a long one; 0: never
  Duration hiccup_max = std::chrono::milliseconds(3);
  Duration timer_slack_max = std::chrono::microseconds(50);  // timers fire so much later than asked for
};

// One run of one host, from its start to its crash. What a run owns holds a reference; dead, it does nothing any more.
struct SimLife {
  bool alive = true;
  std::size_t site = 0;  // the host's number in the world
  std::string host;      // its name
};
using SimLifeRef = std::shared_ptr<SimLife>;

class SimCore {
 public:
  SimCore(std::uint64_t seed, const SimTimings& timings) : random_(seed), timings_(timings) {}

  TimePoint now() const { return now_; }
  SeededRandom& random() { return random_; }
  const SimTimings& timings() const { return timings_; }
  std::uint64_t events_run() const { return events_run_; }

  // An event of `owner`'s goes with its crash; nullptr: of the world, which nothing takes away.
  SimEventId at(TimePoint when, const SimLife* owner, SimTask task);
  SimEventId after(Duration delay, const SimLife* owner, SimTask task) {
    return at(now_ + delay, owner, std::move(task));
  }
  SimTask cancel(SimEventId id) { return queue_.cancel(id); }
  void cancel_all_of(const SimLife& life);
  std::optional<TimePoint> next_at() { return queue_.next_at(); }
  // Runs the next event; false when there is none.
  bool step();
  // Destroys what was buried. REQUIRES: no code of a program is on the stack.
  void empty_graveyard();
  // Destroys every event and everything buried, for the end of the world.
  void clear();
  // Moves the clock. REQUIRES: no event is due before `to`.
  void advance_to(TimePoint to);

  Duration io_delay();
  Duration random_below(Duration bound);

  // Keeps something of a crashed program until no code of it can be on the stack: until the next event.
  template <class T>
  void bury(T thing) {
    graveyard_.push_back(std::make_shared<T>(std::move(thing)));
  }
  // An operation whose stream was destroyed: a little later the kernel writes into its memory (or reads from it) a last
  // time, and then lets the completion go. So memory that the completion should have kept alive and did not is found by
  // the address sanitizer.
  void abandon_read(const SimLifeRef& life, Bytes into, SizeDone done);
  void abandon_write(const SimLifeRef& life, ConstBytes from, SizeDone done);

  // Keeps the last `lines` lines; 0: off.
  void keep_trace(std::size_t lines);
  bool tracing() const { return trace_lines_max_ != 0; }
  // Adds a line, with the time in front; nothing when off.
  void trace(const char* format, ...) __attribute__((format(printf, 2, 3)));
  // Oldest first.
  std::vector<std::string> trace_lines() const;

 private:
  TimePoint now_;
  SeededRandom random_;
  SimTimings timings_;
  std::uint64_t events_run_ = 0;
  SimQueue queue_;
  std::vector<std::shared_ptr<void>> graveyard_;
  std::size_t trace_lines_max_ = 0;
  std::size_t trace_next_ = 0;  // the oldest line, once the ring is full
  std::vector<std::string> trace_;
};

}  // namespace zferry::io
