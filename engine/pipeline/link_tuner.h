// LinkTuner: fits a source to its link while it runs. It sees what holds the stream up and how fast the link is, and
// sets by that how many lanes there are (LaneCount), their congestion control and send buffers, how long blocks are,
// and what compression is to reckon with. docs/PERFORMANCE.md, "Links". Threading: the loop's.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>

#include "base/lifeline.h"
#include "pipeline/host.h"
#include "pipeline/lane_count.h"
#include "pipeline/link.h"
#include "pipeline/report.h"
#include "pipeline/settings.h"

namespace zferry::pipeline {

class LinkTuner {
 public:
  // What the pipeline is to reckon with.
  struct Pace {
    std::size_t under_way_bytes = 0;  // from reading to acknowledgement
    std::size_t block_bytes = 0;      // of a block at most
    double link_bytes_per_s = 0;      // what the link carries when it is full; 0: not known
    double stream_bytes_per_s = 0;    // where neither link nor cores hold the stream up; else 0
  };
  struct Wiring {
    std::function<Bottleneck()> bottleneck;       // of now
    std::function<std::uint64_t()> stream_bytes;  // of the stream, that the target has
    std::function<void(const Pace&)> pace;
    std::function<void()> tick;  // time has passed: what was not late may be
    std::function<void(const std::string&)> info;
  };
  LinkTuner(Host& host, Link& link, const SourceSettings& settings, Wiring wiring);
  ~LinkTuner();
  // The session is agreed: at most so many lanes.
  void start(std::size_t most_lanes);
  // What holds the stream up may have changed.
  void note();
  void joined(Lane& lane);
  // A block that is under way for so long is late.
  Duration late() const;
  Duration very_late() const;

 private:
  struct Sample {
    TimePoint at{};
    std::uint64_t acked_bytes = 0;
    std::uint64_t stream_bytes = 0;
    std::array<Duration, kBottlenecks> held{};
  };
  void tick();
  void arm();
  void tune_lanes(double time_s);
  void count_lanes(const Sample& now);
  void measure(const Sample& now);
  void look_at_link(TimePoint now, double acked, double share_of_link, double share_of_cores);
  Sample sample() const;
  Duration rtt() const;
  std::size_t under_way_bytes() const;
  std::size_t block_bytes() const;

  Host& host_;
  Link& link_;
  const SourceSettings& settings_;
  Wiring wiring_;
  std::optional<LaneCount> count_;
  std::size_t most_lanes_ = 1;
  Bottleneck now_ = Bottleneck::kUnknown;
  TimePoint since_{};
  std::array<Duration, kBottlenecks> held_{};  // in all, by what
  Sample last_;                                // when it was measured last
  bool started_ = false;
  bool measured_ = false;
  double link_bytes_per_s_ = 0;
  bool link_is_guess_ = false;
  TimePoint guess_again_{};
  Duration guess_wait_ = std::chrono::seconds(5);
  Duration rtt_{0};  // at the last tick
  double fastest_bytes_per_s_ = 0;
  double acked_bytes_per_s_ = 0;
  double stream_bytes_per_s_ = 0;
  bool link_matters_ = false;  // at the last measure
  struct Seen {
    std::uint64_t lane = 0;  // its id
    std::uint64_t acked_bytes = 0;
    Duration buffer_limited{0};
  };
  std::array<Seen, limits::kLanesMax> seen_{};  // of each lane, when it was measured last
  std::size_t told_lanes_ = 0;
  bool told_congestion_ = false;
  io::TimerId timer_ = 0;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
