#include "store/content.h"

#include <algorithm>

namespace zferry::store {

void SessionContent::add(const BlockFacts& block, const Place& place) {
  ZF_ASSERT(!has(block.number));
  const auto segment = segments_.find(place.segment);
  ZF_ASSERT(segment != segments_.end());
  // Mostly in order: found at the end, at no cost.
  blocks_.emplace_hint(blocks_.end(), block.number, block);
  places_.emplace(block.number, place);
  ++segment->second.blocks;
  segment->second.end = std::max(segment->second.end, std::uint64_t{place.at} + block.packed_bytes + seal::kTagBytes);
  packed_bytes_ += block.packed_bytes;
  if (block.number == next_) advance();
}

void SessionContent::truncate(std::uint64_t number) {
  erase(blocks_.lower_bound(number), blocks_.end());
  next_ = std::max(first_, std::min(next_, number));
}

Pin& SessionContent::pin(const PinnedSegment& segment, const Check& check, std::uint64_t number) {
  Pin& pin = pins_[segment];
  pin.check = check;
  pin.number = std::max(pin.number, number);
  return pin;
}

void SessionContent::checkpoint(std::uint64_t number, std::vector<std::byte> state) {
  ZF_ASSERT(number >= first_);
  erase(blocks_.begin(), blocks_.lower_bound(number));
  std::erase_if(pins_, [&](const auto& pin) {
    if (pin.second.number >= number) return false;
    past_pins_.push_back(pin.first);
    return true;
  });
  first_ = number;
  state_ = std::move(state);
  if (next_ < number) {
    next_ = number;
    advance();
  }
}

void SessionContent::erase(Blocks::iterator from, Blocks::iterator to) {
  for (auto block = from; block != to; ++block) {
    const auto place = places_.find(block->first);
    --segments_.at(place->second.segment).blocks;
    packed_bytes_ -= block->second.packed_bytes;
    places_.erase(place);
  }
  blocks_.erase(from, to);
}

void SessionContent::advance() {
  for (auto block = blocks_.find(next_); block != blocks_.end() && block->first == next_; ++block) ++next_;
}

}  // namespace zferry::store
