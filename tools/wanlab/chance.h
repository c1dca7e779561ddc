// The seeded draws of one direction of the link: which packets are lost, and how far delay strays. The n-th packet that
// a direction carries meets the same fate in every run of one seed. Pure; not thread-safe.
#pragma once

#include <cstdint>

namespace zferry::wanlab {

/// SplitMix64: small, and good enough for dice.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// In [0, 1).
  double fraction();

 private:
  std::uint64_t state_;
};

enum class Fate { kPasses, kLost, kLostInBurst };

/// Independent losses, and bursts after Gilbert and Elliott: two states, in the bad one everything is lost.
class LossModel {
 public:
  explicit LossModel(std::uint64_t seed) : random_(seed), burst_(seed ^ 0xB5297A4D1B56C4E9U) {}

  /// `loss`: share of packets lost one by one. `burst_loss`: share lost in bursts of `burst_packets` on average (at
  /// least 1).
  void configure(double loss, double burst_loss, double burst_packets);

  Fate draw();

 private:
  Dice random_, burst_;
  double loss_ = 0;
  double begin_burst_ = 0, end_burst_ = 1;
  bool in_burst_ = false;
};

/// How far the delay strays from its mean at a time. Without reordering it is a path of straight lines between drawn
/// points, never so steep that a later packet would overtake an earlier one; with it, every packet draws for itself.
class Jitter {
 public:
  explicit Jitter(std::uint64_t seed) : seed_(seed), dice_(seed) {}
  void configure(std::int64_t jitter_ns, bool reorder);

  /// Within plus or minus the jitter; `now_ns` since the start of the link.
  std::int64_t draw(std::int64_t now_ns);

 private:
  double point(std::int64_t index) const;

  std::uint64_t seed_;
  Dice dice_;
  std::int64_t jitter_ns_ = 0;
  std::int64_t period_ns_ = 1;
  bool reorder_ = false;
};

}  // namespace zferry::wanlab
