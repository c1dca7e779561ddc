#include "io/sim_queue.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace zferry::io {

SimEventId SimQueue::add(TimePoint at, const void* owner, SimTask task) {
  std::uint32_t index;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.task = std::move(task);
  slot.owner = owner;
  slot.used = true;
  heap_.push_back({at, added_++, index, slot.generation});
  std::push_heap(heap_.begin(), heap_.end(), later);
  ++size_;
  return (std::uint64_t{slot.generation} << 32) | (index + 1u);
}

SimTask SimQueue::release(std::uint32_t index) {
  Slot& slot = slots_[index];
  ZF_ASSERT(slot.used);
  slot.used = false;
  slot.owner = nullptr;
  ++slot.generation;
  free_.push_back(index);
  --size_;
  return std::exchange(slot.task, nullptr);
}

SimTask SimQueue::cancel(SimEventId id) {
  auto index = static_cast<std::uint32_t>(id);
  if (index == 0 || index > slots_.size()) return nullptr;
  const Slot& slot = slots_[index - 1];
  if (!slot.used || slot.generation != static_cast<std::uint32_t>(id >> 32)) return nullptr;
  return release(index - 1);
}

void SimQueue::cancel_all_of(const void* owner, std::vector<SimTask>& into) {
  for (std::uint32_t index = 0; index < slots_.size(); ++index) {
    if (slots_[index].used && slots_[index].owner == owner) into.push_back(release(index));
  }
}

std::optional<TimePoint> SimQueue::next_at() {
  while (!heap_.empty()) {
    const Entry& first = heap_.front();
    const Slot& slot = slots_[first.slot];
    if (slot.used && slot.generation == first.generation) return first.at;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
  }
  return std::nullopt;
}

SimTask SimQueue::pop() {
  ZF_ASSERT(next_at().has_value());
  std::uint32_t slot = heap_.front().slot;
  std::pop_heap(heap_.begin(), heap_.end(), later);
  heap_.pop_back();
  return release(slot);
}

}  // namespace zferry::io
