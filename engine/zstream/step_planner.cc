#include "zstream/step_planner.h"

#include <algorithm>
#include <utility>

namespace zferry::zstream {

void StepPlanner::set_swapped(bool swapped) {
  flush();
  swapped_ = swapped;
}

void StepPlanner::reset() {
  flush();
  plan_.steps.push_back({.what = ChecksumStep::What::kReset});
}

void StepPlanner::sum(std::size_t offset, ConstBytes bytes) {
  if (part_bytes_ > 0) {
    const std::size_t taken = std::min(part_.size() - part_bytes_, bytes.size());
    std::copy_n(bytes.begin(), taken, part_.begin() + static_cast<std::ptrdiff_t>(part_bytes_));
    part_bytes_ += taken;
    if (part_bytes_ < part_.size()) return;
    part_bytes_ = 0;
    flush();
    word(part_);
    bytes = bytes.subspan(taken);
    offset += taken;
  }
  const std::size_t whole = bytes.size() / 4 * 4;
  if (whole > 0) {
    if (pending_bytes_ > 0 && pending_offset_ + pending_bytes_ != offset) flush();
    if (pending_bytes_ == 0) pending_offset_ = offset;
    pending_bytes_ += whole;
  }
  part_bytes_ = bytes.size() - whole;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(whole), part_bytes_, part_.begin());
}

void StepPlanner::sum_held(ConstBytes bytes) {
  ZF_ASSERT(bytes.size() % 4 == 0 && part_bytes_ == 0);
  flush();
  for (std::size_t i = 0; i < bytes.size(); i += 4) word(bytes.subspan(i, 4));
}

void StepPlanner::compare(ChecksumStep step) {
  flush();
  plan_.steps.push_back(step);
}

ChecksumPlan StepPlanner::take() {
  flush();
  return std::exchange(plan_, {});
}

void StepPlanner::restore(bool swapped, ConstBytes part) {
  ZF_ASSERT(part.size() < part_.size());
  swapped_ = swapped;
  part_bytes_ = part.size();
  std::copy(part.begin(), part.end(), part_.begin());
}

void StepPlanner::flush() {
  if (pending_bytes_ == 0) return;
  plan_.steps.push_back({.what = ChecksumStep::What::kSum,
                         .swapped = swapped_,
                         .offset = static_cast<std::uint32_t>(pending_offset_),
                         .bytes = static_cast<std::uint32_t>(pending_bytes_)});
  pending_bytes_ = 0;
}

void StepPlanner::word(ConstBytes bytes) {
  const auto value = load<std::uint32_t>(bytes);
  plan_.steps.push_back({.what = ChecksumStep::What::kWord, .word = swapped_ ? swap_bytes(value) : value});
}

}  // namespace zferry::zstream
