// The chunks of one segment in memory: found by id, or unit by unit. Sees no files. Threading: one thread at a time
// each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "store/store.h"

namespace zferry::store {

class Footer {
 public:
  struct Found {
    std::uint32_t at = 0;
    BlockFacts block;
    std::vector<Run> runs;
  };

  // Chunks of a block that lies at `at`.
  void add(std::uint32_t at, const BlockFacts& block, std::span<const ChunkFacts> chunks);
  // The latest of those of this length.
  std::optional<Found> find(const chunk::Id& id, std::uint64_t bytes) const;
  std::optional<Found> find(const chunk::SubId& id, std::uint64_t bytes) const;
  // Nothing of the block there is found any more.
  void forget(std::uint32_t at);
  std::size_t bytes() const;  // of memory, about

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  struct Block {
    BlockFacts facts;
    std::uint32_t at;
    bool forgotten = false;
  };
  struct Chunk {
    chunk::Id id;
    std::uint32_t block;
    std::uint32_t first_unit;
    std::uint32_t units;
    std::uint32_t next;  // with ids that meet in the same place of the table
  };
  struct Unit {
    chunk::SubId id;
    std::uint16_t runs;
    std::uint32_t first_run;
    std::uint32_t block;
    std::uint32_t next;
  };
  // Heads of chains, twice as many as there are entries at least.
  template <class Entry>
  static void link(std::vector<std::uint32_t>& heads, std::vector<Entry>& entries);
  template <class Entry>
  static std::uint32_t& head_of(std::vector<std::uint32_t>& heads, const Entry& entry);
  std::uint64_t bytes_of(const Unit& unit) const;
  void give_runs(const Unit& unit, Found& found) const;

  std::vector<Block> blocks_;
  std::vector<Chunk> chunks_;
  std::vector<Unit> units_;
  std::vector<Run> runs_;
  std::vector<std::uint32_t> chunk_heads_, unit_heads_;
};

}  // namespace zferry::store
