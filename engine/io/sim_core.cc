#include "io/sim_core.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace zferry::io {

SimEventId SimCore::at(TimePoint when, const SimLife* owner, SimTask task) {
  // A crash in the middle of an event, by a hook: what the event goes on to start is not to happen.
  if (owner != nullptr && !owner->alive) {
    bury(std::move(task));
    return 0;
  }
  return queue_.add(std::max(when, now_), owner, std::move(task));
}

void SimCore::cancel_all_of(const SimLife& life) {
  std::vector<SimTask> tasks;
  queue_.cancel_all_of(&life, tasks);
  bury(std::move(tasks));
}

bool SimCore::step() {
  empty_graveyard();
  std::optional<TimePoint> due = queue_.next_at();
  if (!due) return false;
  SimTask task = queue_.pop();
  now_ = *due;
  ++events_run_;
  task();
  return true;
}

void SimCore::empty_graveyard() {
  // What goes may bury more.
  while (!graveyard_.empty()) {
    std::vector<std::shared_ptr<void>> old;
    old.swap(graveyard_);
  }
}

void SimCore::clear() {
  while (queue_.next_at()) bury(queue_.pop());
  empty_graveyard();
}

void SimCore::advance_to(TimePoint to) {
  if (to > now_) now_ = to;
}

Duration SimCore::random_below(Duration bound) {
  return Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound.count()) + 1)));
}

Duration SimCore::io_delay() {
  if (timings_.hiccup_one_in != 0 && random_.below(timings_.hiccup_one_in) == 0)
    return random_below(timings_.hiccup_max);
  return random_below(timings_.io_delay_max);
}

void SimCore::abandon_read(const SimLifeRef& life, Bytes into, SizeDone done) {
  if (!done) return;
  after(io_delay(), life.get(),
        [into, kept = std::move(done)] { std::fill(into.begin(), into.end(), std::byte{0xdd}); });
}

void SimCore::abandon_write(const SimLifeRef& life, ConstBytes from, SizeDone done) {
  if (!done) return;
  after(io_delay(), life.get(), [from, kept = std::move(done)] {
    if (from.empty()) return;
    [[maybe_unused]] volatile std::byte seen = from.front();
    seen = from.back();
  });
}

void SimCore::keep_trace(std::size_t lines) {
  trace_lines_max_ = lines;
  trace_next_ = 0;
  trace_.clear();
}

void SimCore::trace(const char* format, ...) {
  if (trace_lines_max_ == 0) return;
  char line[256];
  int used = std::snprintf(line, sizeof line, "%13.6f ms  ", static_cast<double>(now_.since_start.count()) / 1e6);
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line + used, sizeof line - static_cast<std::size_t>(used), format, arguments);
  va_end(arguments);
  if (trace_.size() < trace_lines_max_) {
    trace_.emplace_back(line);
    return;
  }
  trace_[trace_next_] = line;
  trace_next_ = (trace_next_ + 1) % trace_lines_max_;
}

std::vector<std::string> SimCore::trace_lines() const {
  std::vector<std::string> lines(trace_.begin() + static_cast<std::ptrdiff_t>(trace_next_), trace_.end());
  lines.insert(lines.end(), trace_.begin(), trace_.begin() + static_cast<std::ptrdiff_t>(trace_next_));
  return lines;
}

}  // namespace zferry::io
