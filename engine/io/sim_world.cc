#include "io/sim_world.h"

namespace zferry::io {

SimWorld::SimWorld(std::uint64_t seed, const SimTimings& timings) : core_(seed, timings), fabric_(core_) {}

SimWorld::~SimWorld() {
  for (auto& host : hosts_) host->crash(SimCrash::kPowerLoss);
  core_.clear();
}

SimHost& SimWorld::add_host(const std::string& name) {
  fabric_.add_site(name);
  hosts_.push_back(std::make_unique<SimHost>(core_, fabric_, hosts_.size(), name));
  return *hosts_.back();
}

bool SimWorld::run_until(const std::function<bool()>& predicate, Duration at_most, std::uint64_t events_max) {
  TimePoint limit = core_.now() + at_most;
  for (std::uint64_t count = 0; !predicate(); ++count) {
    std::optional<TimePoint> next = core_.next_at();
    if (next && *next > limit) core_.advance_to(limit);
    if (!next || *next > limit || count == events_max) {
      core_.trace("run_until gives up: %s", !next                 ? "nothing is left to happen"
                                            : count == events_max ? "too many events"
                                                                  : "time is over");
      core_.empty_graveyard();
      return false;
    }
    core_.step();
  }
  return true;
}

void SimWorld::run_for(Duration time) {
  TimePoint limit = core_.now() + time;
  for (std::optional<TimePoint> next = core_.next_at(); next && *next <= limit; next = core_.next_at()) core_.step();
  core_.empty_graveyard();
  core_.advance_to(limit);
}

std::string SimWorld::trace() const {
  std::string text;
  for (const std::string& line : core_.trace_lines()) text += line + "\n";
  return text;
}

}  // namespace zferry::io
