#include "pipeline/flight.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace zferry::pipeline {

void Flight::add(const wire::Block& header, flow::Slice packed, std::uint64_t lane) {
  aboard_.emplace(header.number, Aboard{header, std::move(packed), lane});
}

void Flight::acknowledge(const wire::Ack& ack) {
  while (!aboard_.empty() && aboard_.begin()->first < ack.received) {
    const wire::Block& header = aboard_.begin()->second.header;
    acknowledged_bytes_ = header.offset + header.raw_bytes;
    homeless_.erase(header.number);
    aboard_.erase(aboard_.begin());
  }
  for (auto& [number, block] : aboard_) {
    std::uint64_t bit = number - ack.received;
    if (bit / 64 >= ack.beyond.size()) break;
    if (block.there || (ack.beyond[bit / 64] >> (bit % 64) & 1) == 0) continue;
    block.there = true;
    block.packed = {};
    homeless_.erase(number);
  }
}

void Flight::lane_lost(std::uint64_t lane, std::uint64_t unwritten) {
  for (auto entry = aboard_.rbegin(); entry != aboard_.rend(); ++entry) {
    const auto& [number, block] = *entry;
    if (block.lane != lane || block.there || homeless_.contains(number)) continue;
    homeless_.insert(number);
    std::uint64_t kept = std::min<std::uint64_t>(unwritten, block.packed.bytes.size());
    unwritten -= kept;
    sent_again_bytes_ += block.packed.bytes.size() - kept;
  }
}

Flight::Passenger Flight::take_homeless(std::uint64_t lane) {
  ZF_ASSERT(has_homeless());
  auto number = *homeless_.begin();
  homeless_.erase(homeless_.begin());
  Aboard& block = aboard_.at(number);
  block.lane = lane;
  return {block.header, block.packed};
}

}  // namespace zferry::pipeline
