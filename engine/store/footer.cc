#include "store/footer.h"

#include <algorithm>

namespace zferry::store {
namespace {

// Of an id or a short one: where it is in a table of `heads`, which is a power of two.
template <class AnyId>
std::size_t slot_of(const AnyId& id, std::size_t heads) {
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, id.data(), chunk::SubId{}.size());
  return static_cast<std::size_t>(prefix * 0x9e3779b97f4a7c15u >> 32) & (heads - 1);
}

}  // namespace

template <class Entry>
std::uint32_t& Footer::head_of(std::vector<std::uint32_t>& heads, const Entry& entry) {
  return heads[slot_of(entry.id, heads.size())];
}

// The last of the entries into its chain; all of them anew where the table is too short.
template <class Entry>
void Footer::link(std::vector<std::uint32_t>& heads, std::vector<Entry>& entries) {
  std::size_t from = entries.size() - 1;
  if (heads.size() < 2 * entries.size()) {
    heads.assign(std::max<std::size_t>(64, heads.size() * 2), kNone);
    from = 0;
  }
  for (std::size_t i = from; i < entries.size(); ++i)
    entries[i].next = std::exchange(head_of(heads, entries[i]), static_cast<std::uint32_t>(i));
}

void Footer::add(std::uint32_t at, const BlockFacts& block, std::span<const ChunkFacts> chunks) {
  if (blocks_.empty() || blocks_.back().at != at) blocks_.push_back({block, at});
  const auto number = static_cast<std::uint32_t>(blocks_.size() - 1);
  for (const ChunkFacts& chunk : chunks) {
    if (chunk.id) {
      chunks_.push_back({*chunk.id, number, static_cast<std::uint32_t>(units_.size()),
                         static_cast<std::uint32_t>(chunk.units.size()), kNone});
      link(chunk_heads_, chunks_);
    }
    for (const ChunkFacts::Unit& unit : chunk.units) {
      units_.push_back({unit.id, static_cast<std::uint16_t>(unit.runs.size()), static_cast<std::uint32_t>(runs_.size()),
                        number, kNone});
      runs_.insert(runs_.end(), unit.runs.begin(), unit.runs.end());
      link(unit_heads_, units_);
    }
  }
}

std::uint64_t Footer::bytes_of(const Unit& unit) const {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < unit.runs; ++i) sum += runs_[unit.first_run + i].bytes;
  return sum;
}

void Footer::give_runs(const Unit& unit, Found& found) const {
  const auto first = runs_.begin() + unit.first_run;
  found.runs.insert(found.runs.end(), first, first + unit.runs);
}

std::optional<Footer::Found> Footer::find(const chunk::Id& id, std::uint64_t bytes) const {
  if (chunks_.empty()) return {};
  for (auto i = chunk_heads_[slot_of(id, chunk_heads_.size())]; i != kNone; i = chunks_[i].next) {
    const Chunk& chunk = chunks_[i];
    if (chunk.id != id || blocks_[chunk.block].forgotten) continue;
    const auto units = std::span(units_).subspan(chunk.first_unit, chunk.units);
    std::uint64_t sum = 0;
    for (const Unit& unit : units) sum += bytes_of(unit);
    if (sum != bytes) continue;
    Found found{blocks_[chunk.block].at, blocks_[chunk.block].facts, {}};
    for (const Unit& unit : units) give_runs(unit, found);
    return found;
  }
  return {};
}

std::optional<Footer::Found> Footer::find(const chunk::SubId& id, std::uint64_t bytes) const {
  if (units_.empty()) return {};
  for (auto i = unit_heads_[slot_of(id, unit_heads_.size())]; i != kNone; i = units_[i].next) {
    const Unit& unit = units_[i];
    if (unit.id != id || blocks_[unit.block].forgotten || bytes_of(unit) != bytes) continue;
    Found found{blocks_[unit.block].at, blocks_[unit.block].facts, {}};
    give_runs(unit, found);
    return found;
  }
  return {};
}

void Footer::forget(std::uint32_t at) {
  for (Block& block : blocks_) block.forgotten |= block.at == at;
}

std::size_t Footer::bytes() const {
  return sizeof *this + blocks_.capacity() * sizeof(Block) + chunks_.capacity() * sizeof(Chunk) +
         units_.capacity() * sizeof(Unit) + runs_.capacity() * sizeof(Run) +
         (chunk_heads_.capacity() + unit_heads_.capacity()) * sizeof(std::uint32_t);
}

}  // namespace zferry::store
