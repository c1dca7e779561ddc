#include "shrink.h"

#include <utility>

namespace zferry::transfer {
namespace {

// What differs from the plainest value, one after the other.
template <class S, class Part>
void plainer(std::vector<S>& out, const S& whole, Part part) {
  S next = whole;
  if (part(next)) out.push_back(std::move(next));
}

template <class T>
bool set(T& place, const T& value) {
  return std::exchange(place, value) != value;
}

template <class List>
bool drop(List& list, std::size_t index) {
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(index));
  return true;
}

// Of what both kinds have.
std::vector<std::function<bool(Scenario&)>> plain_ends() {
  return {
      [](Scenario& s) { return s.stream_bytes > 300 && set(s.stream_bytes, s.stream_bytes / 2); },
      [](Scenario& s) { return set(s.late_workers, false); },
      [](Scenario& s) { return set(s.link.jitter, Duration(0)); },
      [](Scenario& s) { return set(s.link.reset_discards_chance, 0.0); },
      [](Scenario& s) { return set(s.link.bytes_per_second, std::uint64_t{0}); },
      [](Scenario& s) { return set(s.rate_bytes_per_s, std::uint64_t{0}); },
      [](Scenario& s) { return set(s.producer_pause_chance, 0.0); },
      [](Scenario& s) { return set(s.consumer_exit_delay, Duration(0)); },
      [](Scenario& s) { return s.consumer != Consumer::kFile && set(s.consumer, Consumer::kGood); },
      [](Scenario& s) { return set(s.with_secret, false); },
      [](Scenario& s) { return set(s.ciphers, 0u); },
      [](Scenario& s) { return set(s.pack, pack::Mode::kOff); },
      [](Scenario& s) { return s.stream > Stream::kZfs && set(s.stream, Stream::kZfs); },
      [](Scenario& s) { return s.stream == Stream::kZfs && s.named && set(s.stream, Stream::kOpaque); },
  };
}

}  // namespace

std::string promise_of(const std::string& broken) {
  std::size_t begin = broken.find(": ");
  if (begin == std::string::npos) return broken;
  return broken.substr(begin + 2, broken.find(": ", begin + 2) - begin - 2);
}

std::vector<Scenario> simpler(const Scenario& scenario) {
  std::vector<Scenario> out;
  for (std::size_t i = 0; i < scenario.strikes.size(); ++i)
    plainer(out, scenario, [i](Scenario& s) { return drop(s.strikes, i); });
  plainer(out, scenario, [](Scenario& s) { return set(s.rerun, Rerun::kNone); });
  plainer(out, scenario, [](Scenario& s) { return std::exchange(s.rerun_trouble, std::nullopt).has_value(); });
  plainer(out, scenario, [](Scenario& s) { return set(s.producer, Producer::kRun); });
  for (const auto& part : plain_ends()) plainer(out, scenario, part);
  return out;
}

std::vector<Journey> simpler(const Journey& journey) {
  std::vector<Journey> out;
  for (std::size_t i = 0; i < journey.strikes.size(); ++i)
    plainer(out, journey, [i](Journey& j) { return drop(j.strikes, i); });
  for (std::size_t i = 0; journey.shapes.size() > 1 && i < journey.shapes.size(); ++i)
    plainer(out, journey, [i](Journey& j) { return drop(j.shapes, i); });
  plainer(out, journey, [](Journey& j) {
    bool changed = false;
    for (SourceShape& shape : j.shapes) changed |= shape.lanes > 1 && set(shape.lanes, shape.lanes / 2);
    return changed;
  });
  plainer(out, journey, [](Journey& j) {
    bool changed = false;
    for (SourceShape& shape : j.shapes)
      changed |= set(shape.pack, pack::Mode::kOff) | set(shape.pause_chance, 0.0) | set(shape.piped, false);
    return changed;
  });
  plainer(out, journey, [](Journey& j) { return set(j.source_pool, j.base.pool_buffers); });
  for (std::size_t i = 0; i < journey.strikes.size(); ++i)
    plainer(out, journey, [i](Journey& j) { return set(j.strikes[i].later, Duration(0)); });
  for (const auto& part : plain_ends()) plainer(out, journey, [&part](Journey& j) { return part(j.base); });
  return out;
}

}  // namespace zferry::transfer
