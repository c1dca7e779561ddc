#include "chance.h"

#include <algorithm>

namespace zferry::wanlab {
namespace {

constexpr std::int64_t kPointsApartMinNs = 20'000'000;

}  // namespace

std::uint64_t Dice::next() {
  state_ += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

double Dice::fraction() { return static_cast<double>(next() >> 11) * 0x1p-53; }

void LossModel::configure(double loss, double burst_loss, double burst_packets) {
  loss_ = loss;
  end_burst_ = 1 / std::max(1.0, burst_packets);
  // In the long run the bad state takes begin / (begin + end) of all packets.
  begin_burst_ = burst_loss >= 1 ? 1 : std::min(1.0, burst_loss * end_burst_ / (1 - burst_loss));
  if (burst_loss >= 1) end_burst_ = 0;
  if (burst_loss <= 0) in_burst_ = false;
}

Fate LossModel::draw() {
  if (begin_burst_ > 0) {
    in_burst_ = in_burst_ ? burst_.fraction() >= end_burst_ : burst_.fraction() < begin_burst_;
    if (in_burst_) return Fate::kLostInBurst;
  }
  if (loss_ > 0 && random_.fraction() < loss_) return Fate::kLost;
  return Fate::kPasses;
}

void Jitter::configure(std::int64_t jitter_ns, bool reorder) {
  jitter_ns_ = jitter_ns;
  reorder_ = reorder;
  period_ns_ = std::max(kPointsApartMinNs, 4 * jitter_ns);  // falls by at most half a second a second
}

double Jitter::point(std::int64_t index) const {
  return 2 * Dice(seed_ ^ (static_cast<std::uint64_t>(index) * 0xD1342543DE82EF95U)).fraction() - 1;
}

std::int64_t Jitter::draw(std::int64_t now_ns) {
  if (jitter_ns_ == 0) return 0;
  const auto reach = static_cast<double>(jitter_ns_);
  if (reorder_) return static_cast<std::int64_t>(reach * (2 * dice_.fraction() - 1));
  const std::int64_t index = now_ns / period_ns_;
  const double within = static_cast<double>(now_ns % period_ns_) / static_cast<double>(period_ns_);
  return static_cast<std::int64_t>(reach * (point(index) * (1 - within) + point(index + 1) * within));
}

}  // namespace zferry::wanlab
