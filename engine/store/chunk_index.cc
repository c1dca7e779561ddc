#include "store/chunk_index.h"

#include <algorithm>

#include "base/assert.h"

namespace zferry::store {
namespace {

constexpr int kShardBits = 10, kTagBits = 28, kHandleBits = 20;
constexpr std::size_t kSameTagMax = 4;
constexpr std::uint64_t kHandleMask = (std::uint64_t{1} << kHandleBits) - 1;
// Shards begin at lengths that differ, so that they do not all grow at once: then the room that is free in them is half
// of what it is at most.
constexpr std::size_t kSlotsLeast = 64, kLengths = 8;

std::uint64_t tag_in(std::uint64_t value) { return value >> kHandleBits; }
std::size_t slots_least(std::size_t shard) { return kSlotsLeast + shard % kLengths; }

}  // namespace

// Homes end before the slots do: what has to go behind the last ones finds room there.
std::size_t ChunkIndex::home_of(std::uint64_t tag, std::size_t slots) {
  return static_cast<std::size_t>(tag * (slots - slots / 64 - 8) >> kTagBits);
}

ChunkIndex::ChunkIndex(Handle handles_max)
    : shards_(std::size_t{1} << kShardBits), states_(1, State::kGone), handles_max_(handles_max) {
  ZF_ASSERT(handles_max > 0 && handles_max <= kHandlesMax);
}

// Ids are as good as random already; the product spreads those that are not.
ChunkIndex::Key ChunkIndex::key_of(const chunk::SubId& id) {
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, id.data(), id.size());
  const std::uint64_t mixed = prefix * 0x9e3779b97f4a7c15u;
  return {static_cast<std::size_t>(mixed >> (64 - kShardBits)),
          mixed >> (64 - kShardBits - kTagBits) & ((std::uint64_t{1} << kTagBits) - 1)};
}

ChunkIndex::Handle ChunkIndex::acquire() {
  if (free_.empty() && states_.size() > handles_max_ && gone_ > 0) sweep();
  if (free_.empty()) {
    if (states_.size() > handles_max_) return 0;
    states_.push_back(State::kInUse);
    return static_cast<Handle>(states_.size() - 1);
  }
  const Handle handle = free_.back();
  free_.pop_back();
  states_[handle] = State::kInUse;
  return handle;
}

void ChunkIndex::release(Handle handle) {
  ZF_ASSERT(states_.at(handle) == State::kInUse);
  states_[handle] = State::kGone;
  ++gone_;
}

bool ChunkIndex::in_use(std::uint64_t value) const { return states_[value & kHandleMask] == State::kInUse; }

void ChunkIndex::add(const chunk::SubId& id, Handle handle) {
  ZF_ASSERT(states_.at(handle) == State::kInUse);
  const Key key = key_of(id);
  Shard& shard = shards_[key.shard];
  if ((shard.used + 1) * 10 > shard.slots.size() * 9) rebuild(key.shard);
  const std::uint64_t value = key.tag << kHandleBits | handle;
  for (bool done = false; !done;) {
    std::size_t at = home_of(key.tag, shard.slots.size());
    std::size_t same = 0;
    for (; at < shard.slots.size(); ++at) {
      Slot& slot = shard.slots[at];
      const std::uint64_t found = slot.value();
      if (found == value) return;
      if (found == 0 || tag_in(found) > key.tag) break;
      if (tag_in(found) == key.tag && (++same == kSameTagMax || !in_use(found))) return slot.set(value);
    }
    done = insert(shard, at, value);
    if (!done) rebuild(key.shard, true);
  }
}

void ChunkIndex::add(std::span<const chunk::SubId> ids, Handle handle) {
  constexpr std::size_t kAhead = 12;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i + kAhead < ids.size()) {
      const Key key = key_of(ids[i + kAhead]);
      const Shard& shard = shards_[key.shard];
      if (!shard.slots.empty()) __builtin_prefetch(&shard.slots[home_of(key.tag, shard.slots.size())], 1);
    }
    add(ids[i], handle);
  }
}

// What stands there and behind it moves on by one, up to the first that is empty or of a segment that is gone.
bool ChunkIndex::insert(Shard& shard, std::size_t at, std::uint64_t value) {
  std::size_t end = at;
  for (; end < shard.slots.size(); ++end) {
    const std::uint64_t found = shard.slots[end].value();
    if (found == 0) ++shard.used;
    if (found == 0 || (gone_ > 0 && !in_use(found))) break;
  }
  if (end == shard.slots.size()) return false;
  std::move_backward(shard.slots.begin() + static_cast<std::ptrdiff_t>(at),
                     shard.slots.begin() + static_cast<std::ptrdiff_t>(end),
                     shard.slots.begin() + static_cast<std::ptrdiff_t>(end) + 1);
  shard.slots[at].set(value);
  return true;
}

ChunkIndex::Candidates ChunkIndex::find(const chunk::SubId& id) const {
  Candidates found;
  const Key key = key_of(id);
  const std::vector<Slot>& slots = shards_[key.shard].slots;
  if (slots.empty()) return found;
  for (std::size_t at = home_of(key.tag, slots.size()); at < slots.size(); ++at) {
    const std::uint64_t value = slots[at].value();
    if (value == 0 || tag_in(value) > key.tag || found.count == kCandidatesMax) break;
    if (tag_in(value) == key.tag && in_use(value))
      found.handles[found.count++] = static_cast<Handle>(value & kHandleMask);
  }
  return found;
}

// Without what is gone, and with a fifth of it free; or more, where what has to go behind the last does not fit.
void ChunkIndex::rebuild(std::size_t number, bool longer) {
  Shard& shard = shards_[number];
  const auto stays = [this](const Slot& slot) { return slot.value() != 0 && in_use(slot.value()); };
  const auto live = static_cast<std::size_t>(std::ranges::count_if(shard.slots, stays));
  std::size_t count = std::max(slots_least(number), live + live / 4 + 1);
  if (longer) count = std::max(count, shard.slots.size() + shard.slots.size() / 8);
  for (;; count += count / 8) {
    std::vector<Slot> slots(count);
    std::size_t next = 0;
    for (const Slot& slot : shard.slots) {
      if (!stays(slot)) continue;
      next = std::max(next, home_of(tag_in(slot.value()), count));
      if (next == count) break;
      slots[next++] = slot;
    }
    if (next == count && live > 0) continue;  // maybe not all
    shard.slots = std::move(slots);
    shard.used = static_cast<std::uint32_t>(live);
    return;
  }
}

void ChunkIndex::sweep() {
  for (std::size_t shard = 0; shard < shards_.size(); ++shard)
    if (shards_[shard].used > 0) rebuild(shard);
  for (Handle handle = 1; handle < states_.size(); ++handle) {
    if (states_[handle] != State::kGone) continue;
    states_[handle] = State::kFree;
    free_.push_back(handle);
  }
  gone_ = 0;
}

std::uint64_t ChunkIndex::bytes() const {
  std::uint64_t sum =
      shards_.size() * sizeof(Shard) + states_.capacity() * sizeof(State) + free_.capacity() * sizeof(Handle);
  for (const Shard& shard : shards_) sum += shard.slots.capacity() * sizeof(Slot);
  return sum;
}

std::uint64_t ChunkIndex::entries() const {
  std::uint64_t sum = 0;
  for (const Shard& shard : shards_) sum += shard.used;
  return sum;
}

}  // namespace zferry::store
