#include "pipeline/flight.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace zferry::pipeline {
namespace {

// Whether the target has this block, by its own word.
bool names(const wire::Ack& ack, std::uint64_t number) {
  if (number < ack.received) return true;
  std::uint64_t bit = number - ack.received;
  return bit / 64 < ack.beyond.size() && (ack.beyond[bit / 64] >> (bit % 64) & 1) != 0;
}

}  // namespace

void Flight::add(const wire::Block& header, flow::Slice packed, std::uint64_t lane, TimePoint now) {
  aboard_.emplace(header.number, Aboard{header, std::move(packed), lane, now});
}

void Flight::let_go(std::uint64_t below) {
  gone_below_ = std::max(gone_below_, below);
  while (!aboard_.empty() && aboard_.begin()->first < below) {
    const wire::Block& header = aboard_.begin()->second.header;
    acknowledged_bytes_ = header.offset + header.raw_bytes;
    homeless_.erase(header.number);
    aboard_.erase(aboard_.begin());
  }
}

void Flight::acknowledge(const wire::Ack& ack) {
  bool stored = ack.keep == wire::Keep::kStore;
  let_go(stored ? ack.durable : ack.received);
  for (auto& [number, block] : aboard_) {
    if (!names(ack, number)) continue;
    if (!std::exchange(block.there, true)) note_overtaking(number, block.since);
    if (!stored) block.packed = {};
    homeless_.erase(number);
  }
}

// A block has arrived: those before it that went earlier, and have not, are late.
void Flight::note_overtaking(std::uint64_t number, TimePoint since) {
  for (auto& [other, block] : aboard_) {
    if (other >= number) break;
    if (!block.there && block.since < since) ++block.overtaken_by;
  }
}

bool Flight::acknowledge_anew(const wire::Ack& ack) {
  if (ack.received < gone_below_) return false;
  for (auto& [number, block] : aboard_) {
    bool there = names(ack, number);
    if (!there && block.packed.bytes.empty()) return false;
    if (!there && homeless_.insert(number).second) sent_again_bytes_ += block.packed.bytes.size();
    block.there = there;
  }
  acknowledge(ack);
  return true;
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

std::optional<Flight::Passenger> Flight::take_copy(std::uint64_t lane, TimePoint late, std::size_t overtaken_by) {
  for (auto& [number, block] : aboard_) {
    if (block.there || homeless_.contains(number)) continue;
    if (block.since > late) return std::nullopt;  // and those behind it went later still, but for what lost its lane
    if (block.copied || block.lane == lane) continue;
    if (block.overtaken_by < overtaken_by) continue;
    block.copied = true;
    copied_bytes_ += block.packed.bytes.size();
    return Passenger{block.header, block.packed};
  }
  return std::nullopt;
}

void Flight::exchange(const wire::Block& header, flow::Slice packed) {
  const auto found = aboard_.find(header.number);
  if (found == aboard_.end() || found->second.packed.bytes.empty()) return;
  found->second.header = header;
  found->second.packed = std::move(packed);
  found->second.there = false;
  homeless_.insert(header.number);
}

bool Flight::holds(std::uint64_t number) const {
  const auto found = aboard_.find(number);
  return found != aboard_.end() && !found->second.packed.bytes.empty();
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
