// SimQueue: the simulator's one queue of events, ordered by virtual time and then by the order of adding. An event may
// have an owner, a run of a host, so that a crash can take all of its events away.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace zferry::io {

using SimTask = std::function<void()>;
using SimEventId = std::uint64_t;  // never 0

class SimQueue {
 public:
  SimEventId add(TimePoint at, const void* owner, SimTask task);
  // The task, for the caller to destroy when it likes; empty where the event has run, was cancelled, or is 0.
  SimTask cancel(SimEventId id);
  // Takes every event of this owner out, tasks moved to `into`.
  void cancel_all_of(const void* owner, std::vector<SimTask>& into);
  // When the next event is due; nothing when there is none.
  std::optional<TimePoint> next_at();
  // Takes the next event. REQUIRES: next_at() said that there is one.
  SimTask pop();
  std::size_t size() const { return size_; }

 private:
  struct Slot {
    SimTask task;
    const void* owner = nullptr;
    std::uint32_t generation = 0;
    bool used = false;
  };
  struct Entry {
    TimePoint at;
    std::uint64_t number;
    std::uint32_t slot;
    std::uint32_t generation;
  };
  static bool later(const Entry& a, const Entry& b) { return a.at != b.at ? a.at > b.at : a.number > b.number; }
  SimTask release(std::uint32_t slot);

  std::vector<Entry> heap_;  // earliest first; entries of cancelled events stay until they surface
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t added_ = 0;
  std::size_t size_ = 0;
};

}  // namespace zferry::io
