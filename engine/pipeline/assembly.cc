#include "pipeline/assembly.h"

#include <algorithm>

#include "base/limits.h"

namespace zferry::pipeline {
namespace {

using store::ChunkFacts;
using store::Run;

Error not_there(const std::string& why) { return {Fault::kStoreFailed, "a block cannot be put together: " + why, {}}; }

// Each stands in the header before its piece of payload.
std::vector<ChunkFacts::Unit> keys_in_block(const wire::Chunks::Chunk& keys,
                                            const std::vector<std::vector<Run>>& payload, std::uint32_t header_bytes) {
  std::vector<ChunkFacts::Unit> units;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    ChunkFacts::Unit unit{keys.unit_ids.empty() ? chunk::sub_id(keys.id) : keys.unit_ids[i], {}};
    for (const Run& piece : payload[i]) {
      if (piece.offset < header_bytes) return {};  // it is not what a source names
      unit.runs.push_back({piece.offset - header_bytes + chunk::kKeyOffset, keys.piece_bytes.front()});
    }
    units.push_back(std::move(unit));
  }
  return units;
}

}  // namespace

void split_found(const store::FoundRuns& whole, std::span<const std::uint32_t> unit_bytes,
                 std::span<std::optional<store::FoundRuns>> units) {
  auto run = whole.runs.begin();
  std::uint32_t taken = 0;
  for (std::size_t i = 0; i < unit_bytes.size(); ++i) {
    store::FoundRuns part{whole.place, {}};
    std::uint32_t rest = unit_bytes[i];
    while (rest > 0 && run != whole.runs.end()) {
      const std::uint32_t count = std::min(rest, run->bytes - taken);
      part.runs.push_back({run->offset + taken, count});
      rest -= count;
      taken += count;
      if (taken < run->bytes) continue;
      ++run;
      taken = 0;
    }
    if (rest == 0) units[i] = std::move(part);
  }
}

Status fill_gaps(Disk& disk, const std::vector<Gap>& gaps, std::span<const std::uint32_t> unit_bytes,
                 std::span<const std::optional<store::FoundRuns>> found, Bytes block,
                 std::optional<store::BlockPlace>& unreadable) {
  std::vector<std::byte> unit;
  for (auto gap = gaps.begin(); gap != gaps.end();) {
    const std::uint32_t number = gap->unit;
    if (!disk.store || number >= found.size() || !found[number])
      return not_there("the store has nothing for a part of it");
    const std::uint32_t bytes = unit_bytes[number];
    const auto read_into = [&](Bytes into) {
      Status read = disk.plain.read(*disk.store, *found[number], into);
      if (!read) unreadable = found[number]->place;
      return read;
    };
    if (gap->bytes == bytes) {
      if (Status read = read_into(block.subspan(gap->offset, bytes)); !read) return read;
      ++gap;
      continue;
    }
    unit.resize(bytes);
    if (Status read = read_into(unit); !read) return read;
    for (; gap != gaps.end() && gap->unit == number; ++gap)
      copy_bytes(ConstBytes(unit).subspan(gap->unit_offset, gap->bytes), block.subspan(gap->offset));
  }
  return {};
}

Status prove_block(const Recipe& recipe, const seal::SecretBytes& leaf_key, std::uint64_t offset, Bytes block) {
  if (Status finished = recipe.finish(block); !finished) return finished;
  if (seal::proof_of(leaf_key, offset, block) == recipe.proof()) return {};
  return Error{Fault::kProtocol, "a block that was put together of chunks is not what the source has", {}};
}

Status unpack_kept(Disk& disk, const seal::SecretBytes& leaf_key, std::uint64_t offset, ConstBytes kept, Bytes block) {
  auto decoded = decode_kept(kept);
  if (!decoded) return decoded.take_error();
  auto recipe = Recipe::decode(decoded->recipe, block.size(), decoded->unit_bytes);
  if (!recipe) return not_there(recipe.error().what);
  const std::vector<Gap> gaps = recipe->put(block);
  std::optional<store::BlockPlace> unreadable;
  Status filled = fill_gaps(disk, gaps, decoded->unit_bytes, decoded->found, block, unreadable);
  if (!filled) return filled;
  if (Status proved = prove_block(*recipe, leaf_key, offset, block); !proved) return not_there(proved.error().what);
  return {};
}

std::vector<ChunkFacts> chunks_in_block(const wire::Chunks& named) {
  std::vector<ChunkFacts> chunks;
  std::vector<std::vector<Run>> payload;  // of each chunk
  for (const wire::Chunks::Chunk& chunk : named.chunks) {
    ChunkFacts facts{chunk.id, {}};
    if (chunk.keys) {
      facts.units = keys_in_block(chunk, payload, named.gap_bytes);
    } else {
      std::uint32_t at = chunk.offset;
      std::vector<Run>& runs = payload.emplace_back();
      for (std::uint32_t bytes : chunk.piece_bytes) {
        runs.push_back({at, bytes});
        at += bytes + named.gap_bytes;
      }
      const bool apart = !chunk.unit_ids.empty();
      if (!apart) facts.units.push_back({chunk::sub_id(chunk.id), runs});
      for (std::size_t i = 0; apart && i < runs.size(); ++i) facts.units.push_back({chunk.unit_ids[i], {runs[i]}});
    }
    if (!facts.units.empty()) chunks.push_back(std::move(facts));
  }
  return chunks;
}

std::vector<ChunkFacts> chunks_in_recipe(const wire::Chunks& named, const Recipe& recipe) {
  std::vector<ChunkFacts> chunks;
  const std::vector<std::uint32_t> unit_bytes = named.unit_bytes();
  std::size_t unit = 0;
  std::uint32_t at = 0;
  for (const wire::Chunks::Chunk& chunk : named.chunks) {
    const std::size_t units = std::max<std::size_t>(1, chunk.unit_ids.size());
    ChunkFacts facts{chunk.id, {}};
    for (std::size_t i = 0; i < units; ++i, ++unit) {
      if (!recipe.brings(unit)) {
        facts.id.reset();  // not as a whole
        continue;
      }
      facts.units.push_back(
          {chunk.unit_ids.empty() ? chunk::sub_id(chunk.id) : chunk.unit_ids[i], {{at, unit_bytes[unit]}}});
      at += unit_bytes[unit];
    }
    if (!facts.units.empty()) chunks.push_back(std::move(facts));
  }
  return chunks;
}

}  // namespace zferry::pipeline
