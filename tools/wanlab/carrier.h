// Two TUN devices and what lies between them: takes packets from each, lets the links, cuts and flows decide, and puts
// them into the other when they are due. Answers commands (docs/WANLAB.md has them). One thread; run() returns when it
// is told to or the owner is gone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "control.h"
#include "cuts.h"
#include "flows.h"
#include "link.h"
#include "tun.h"

namespace zferry::wanlab {

/// Nanoseconds of CLOCK_MONOTONIC.
std::int64_t monotonic_ns();

class Carrier {
 public:
  enum class End { kTold, kOrphaned };

  /// What the links do not count: packets at the grain of the MTU.
  struct Counts {
    LinkCounts::Sum dropped_cut, dropped_reset, refused;
    std::uint64_t resets_sent = 0;
    std::uint64_t reads = 0, writes = 0;  // of the devices; each may carry a run of packets
    std::int64_t late_ns_max = 0, late_ns_sum = 0;
  };

  Carrier(std::array<Tun, 2> tuns, ControlSocket control, std::uint64_t seed);

  /// `leash`: a descriptor that becomes readable or hangs up when the owner is gone; -1: there is none.
  End run(int leash);

  /// The answer to one command line.
  std::string command(std::string_view line);

 private:
  struct Answers;  // the commands, in commands.cc

  void take_in(Direction direction);
  void arrived(Direction direction, Packet packet, std::int64_t now_ns);
  void deliver_due();
  void inject(const Injection& injection);
  void drop_concerned(const Cut* cut, std::int64_t now_ns);
  std::int64_t wait_ns() const;

  std::array<Tun, 2> tuns_;  // a, b
  ControlSocket control_;
  std::uint64_t seed_;
  std::array<Link, 2> links_;  // by direction
  FlowTable flows_;
  Cuts cuts_;
  std::array<Counts, 2> counts_;
  bool told_to_end_ = false;
};

}  // namespace zferry::wanlab
