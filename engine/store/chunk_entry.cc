#include "store/chunk_entry.h"

#include <algorithm>

#include "store/segment.h"

namespace zferry::store {
namespace {

constexpr std::size_t kEntryStartBytes = 4 + kBlockFactsBytes;
constexpr std::uint64_t kPlainBytesMax = std::uint64_t{1} << 31;

void add(std::vector<std::byte>& to, ConstBytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

// Seven bits a byte, the lowest first; all but the last have their top bit set.
void add_varint(std::vector<std::byte>& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<std::byte>(value | 0x80));
  to.push_back(static_cast<std::byte>(value));
}

// Small for what is near, before or behind.
std::uint64_t zigzag(std::int64_t value) {
  return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

// A chunk without its length. `place` is where the run before ended.
void add_chunk(std::vector<std::byte>& to, const ChunkFacts& chunk, std::int64_t& place) {
  to.push_back(std::byte{chunk.id.has_value()});
  if (chunk.id) add(to, *chunk.id);
  add_varint(to, chunk.units.size());
  for (const ChunkFacts::Unit& unit : chunk.units) {
    if (!chunk.id || chunk.units.size() > 1) add(to, unit.id);
    add_varint(to, unit.runs.size());
    for (const Run& run : unit.runs) {
      add_varint(to, zigzag(run.offset - place));
      add_varint(to, run.bytes);
      place = std::int64_t{run.offset} + run.bytes;
    }
  }
}

// Takes fields; after the first that does not fit all are zero and ok() is false.
class Cursor {
 public:
  explicit Cursor(ConstBytes bytes) : rest_(bytes) {}
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 35 && !rest_.empty(); shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(rest_[0]);
      rest_ = rest_.subspan(1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail(), 0;
  }
  ConstBytes bytes(std::size_t count) {
    if (count > rest_.size()) return fail(), ConstBytes{};
    const ConstBytes taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  template <class Id>
  Id id() {
    Id id{};
    std::ranges::copy(bytes(id.size()), id.begin());
    return id;
  }
  void fail() {
    ok_ = false;
    rest_ = {};
  }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  ConstBytes rest_;
  bool ok_ = true;
};

void decode_unit(Cursor& from, ChunkFacts::Unit& unit, std::int64_t& place) {
  const std::uint64_t runs = from.varint();
  if (runs == 0 || runs > kRunsMax) return from.fail();
  unit.runs.reserve(runs);
  for (std::uint64_t i = 0; i < runs && from.ok(); ++i) {
    const std::int64_t offset = place + unzigzag(from.varint());
    const std::uint64_t bytes = from.varint();
    place = offset + static_cast<std::int64_t>(bytes);
    if (offset < 0 || bytes == 0 || static_cast<std::uint64_t>(place) > kPlainBytesMax) return from.fail();
    unit.runs.push_back({static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(bytes)});
  }
}

ChunkFacts decode_chunk(Cursor& from, std::int64_t& place) {
  ChunkFacts chunk;
  const ConstBytes whole = from.bytes(1);
  if (whole.empty() || whole[0] > std::byte{1}) return from.fail(), chunk;
  if (whole[0] == std::byte{1}) chunk.id = from.id<chunk::Id>();
  const std::uint64_t units = from.varint();
  if (units == 0 || units > kUnitsMax) return from.fail(), chunk;
  chunk.units.resize(units);
  for (ChunkFacts::Unit& unit : chunk.units) {
    unit.id = chunk.id && units == 1 ? chunk::sub_id(*chunk.id) : from.id<chunk::SubId>();
    decode_unit(from, unit, place);
    if (!from.ok()) break;
  }
  return chunk;
}

BlockFacts decode_block(ConstBytes bytes) {
  BlockFacts block;
  block.number = load<std::uint64_t>(bytes, 0);
  block.offset = load<std::uint64_t>(bytes, 8);
  block.raw_bytes = load<std::uint32_t>(bytes, 16);
  block.packed_bytes = load<std::uint32_t>(bytes, 20);
  block.encoding = load<std::uint8_t>(bytes, 24);
  return block;
}

// How many chunks follow.
std::uint64_t decode_entry_start(Cursor& from, ChunkEntry& entry) {
  const ConstBytes start = from.bytes(kEntryStartBytes);
  if (start.empty()) return 0;
  entry.at = load<std::uint32_t>(start);
  entry.block = decode_block(start.subspan(4));
  if (entry.at < kHeaderBytes || entry.block.packed_bytes == 0 || entry.block.packed_bytes > limits::kBlockBytesMax)
    from.fail();
  return from.varint();
}

}  // namespace

std::array<std::byte, kChunksStartBytes> encode(const ChunksStart& start) {
  std::array<std::byte, kChunksStartBytes> bytes;
  std::ranges::copy(start.scope, bytes.begin());
  std::ranges::copy(start.segment, bytes.begin() + sizeof(Scope));
  store_at(Bytes(bytes), sizeof(Scope) + sizeof(Check), start.generation);
  return bytes;
}

ChunksStart decode_chunks_start(ConstBytes bytes) {
  ChunksStart start;
  std::ranges::copy(bytes.first(sizeof(Scope)), start.scope.begin());
  std::ranges::copy(bytes.subspan(sizeof(Scope), sizeof(Check)), start.segment.begin());
  start.generation = load<std::uint64_t>(bytes, sizeof(Scope) + sizeof(Check));
  return start;
}

std::vector<std::vector<std::byte>> encode_chunks(std::uint32_t at, const BlockFacts& block,
                                                  std::span<const ChunkFacts> chunks) {
  std::vector<std::vector<std::byte>> entries;
  std::vector<std::byte> all, one;
  std::uint64_t count = 0;
  std::int64_t place = 0;
  const auto end_entry = [&] {
    if (count == 0) return;
    std::vector<std::byte>& entry = entries.emplace_back();
    add(entry, std::as_bytes(std::span(&at, 1)));
    add(entry, encode(block));
    add_varint(entry, std::exchange(count, 0));
    add(entry, std::exchange(all, {}));
    place = 0;
  };
  for (const ChunkFacts& chunk : chunks) {
    for (int tries = 0; tries < 2; ++tries) {
      one.clear();
      std::int64_t behind = place;
      add_chunk(one, chunk, behind);
      if (kEntryStartBytes + 16 + all.size() + one.size() > kChunkEntryBytesMax) {
        end_entry();
        continue;  // into the next, if it fits there
      }
      add_varint(all, one.size());
      add(all, one);
      place = behind;
      ++count;
      break;
    }
  }
  end_entry();
  return entries;
}

std::optional<std::vector<ChunkEntry>> decode_chunks(ConstBytes page) {
  std::vector<ChunkEntry> entries;
  Cursor from(page);
  while (!from.empty()) {
    ChunkEntry& entry = entries.emplace_back();
    std::int64_t place = 0;
    for (std::uint64_t left = decode_entry_start(from, entry); left > 0 && from.ok(); --left) {
      Cursor body(from.bytes(from.varint()));
      entry.chunks.push_back(decode_chunk(body, place));
      if (!body.ok() || !body.empty()) from.fail();
    }
  }
  if (!from.ok()) return {};
  return entries;
}

bool decode_chunk_ids(ConstBytes page, const std::function<void(const chunk::SubId& id, bool whole)>& see) {
  Cursor from(page);
  while (!from.empty()) {
    ChunkEntry entry;
    for (std::uint64_t left = decode_entry_start(from, entry); left > 0 && from.ok(); --left) {
      const ConstBytes bytes = from.bytes(from.varint());
      Cursor body(bytes);
      if (!bytes.empty() && bytes[0] == std::byte{1}) {
        body.bytes(1);
        see(body.id<chunk::SubId>(), true);
        continue;
      }
      std::int64_t place = 0;
      for (const ChunkFacts::Unit& unit : decode_chunk(body, place).units)
        if (body.ok()) see(unit.id, false);
      if (!body.ok()) from.fail();
    }
  }
  return from.ok();
}

}  // namespace zferry::store
