// Chunks: u64 number, u64 offset, u32 raw_bytes, u16 gap_bytes, u16 count, each: 16 bytes id, u32 offset, u16 pieces,
// u8 (1: the pieces are alike; 2: they stand apart; 4: keys), u32 of each piece (alike: once, for all of them), and
// where they stand apart 6 bytes of each one's id.
#include <algorithm>

#include "base/limits.h"
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {
namespace {

constexpr unsigned kAlike = 1, kApart = 2, kKeys = 4;

bool alike(const std::vector<std::uint32_t>& lengths) {
  return std::ranges::all_of(lengths, [&](std::uint32_t length) { return length == lengths.front(); });
}

// Behind so many others.
Chunks::Chunk take_chunk(Cursor& cursor, std::size_t others) {
  Chunks::Chunk chunk;
  chunk.id = cursor.array<16>("id");
  chunk.offset = cursor.integer<std::uint32_t>("offset", 0, limits::kBlockBytesMax - 1);
  const auto pieces = cursor.integer<std::uint16_t>("pieces", 1, kPiecesMax);
  const auto shape = cursor.integer<std::uint8_t>("shape", 0, kAlike | kApart | kKeys);
  chunk.keys = (shape & kKeys) != 0;
  std::uint32_t bytes = 0;
  for (std::size_t i = 0; i < pieces; ++i) {
    if (i == 0 || (shape & kAlike) == 0)
      bytes = cursor.integer<std::uint32_t>("piece_bytes", 1, limits::kBlockBytesMax);
    chunk.piece_bytes.push_back(bytes);
  }
  if (pieces == 0) return chunk;
  cursor.check("shape", ((shape & kAlike) != 0) == alike(chunk.piece_bytes));
  cursor.check("shape", (shape & kApart) == 0 || pieces > 1);
  cursor.check("shape", !chunk.keys || (shape & kAlike) != 0);
  const std::size_t units = chunk.keys ? others : pieces;
  cursor.check("shape", !chunk.keys || ((shape & kApart) != 0) == (units > 1));
  for (std::size_t i = 0; i < units && (shape & kApart) != 0; ++i)
    chunk.unit_ids.push_back(cursor.array<6>("unit_ids"));
  return chunk;
}

}  // namespace

std::uint64_t Chunks::Chunk::bytes() const {
  std::uint64_t sum = 0;
  for (std::uint32_t piece : piece_bytes) sum += piece;
  return sum;
}

std::vector<std::uint32_t> Chunks::unit_bytes() const {
  std::vector<std::uint32_t> lengths;
  for (const Chunk& chunk : chunks) {
    if (chunk.keys && !chunk.unit_ids.empty()) {
      for (std::size_t i = 0; i + 1 < chunks.size(); ++i)
        lengths.push_back(static_cast<std::uint32_t>(chunks[i].piece_bytes.size()) * chunk.piece_bytes.front());
    } else if (chunk.unit_ids.empty()) {
      lengths.push_back(static_cast<std::uint32_t>(chunk.bytes()));
    } else {
      lengths.insert(lengths.end(), chunk.piece_bytes.begin(), chunk.piece_bytes.end());
    }
  }
  return lengths;
}

Message encode(const Chunks& message) {
  Builder builder;
  builder.integer(message.number)
      .integer(message.offset)
      .integer(message.raw_bytes)
      .integer(message.gap_bytes)
      .integer(static_cast<std::uint16_t>(message.chunks.size()));
  for (const Chunks::Chunk& chunk : message.chunks) {
    const std::size_t pieces = chunk.piece_bytes.size();
    const bool apart = !chunk.unit_ids.empty();
    ZF_ASSERT(pieces >= 1 && pieces <= kPiecesMax && (!apart || chunk.keys || chunk.unit_ids.size() == pieces));
    const bool same = alike(chunk.piece_bytes);
    builder.bytes(chunk.id).integer(chunk.offset).integer(static_cast<std::uint16_t>(pieces));
    builder.integer(static_cast<std::uint8_t>((same ? kAlike : 0) | (apart ? kApart : 0) | (chunk.keys ? kKeys : 0)));
    for (std::size_t i = 0; i < (same ? 1 : pieces); ++i) builder.integer(chunk.piece_bytes[i]);
    for (const Chunks::UnitId& id : chunk.unit_ids) builder.bytes(id);
  }
  return builder.take();
}

Result<Chunks> decode_chunks(ConstBytes bytes) {
  Cursor cursor("CHUNKS", bytes);
  Chunks message;
  message.number = cursor.integer<std::uint64_t>("number", 0, limits::kBlocksMax - 1);
  message.offset = cursor.integer<std::uint64_t>("offset", 0, kOffsetMax);
  message.raw_bytes = cursor.integer<std::uint32_t>("raw_bytes", 1, limits::kBlockBytesMax);
  message.gap_bytes = cursor.integer<std::uint16_t>("gap_bytes");
  const auto count = cursor.integer<std::uint16_t>("chunks", 1, limits::kControlBytesMax / 16);
  std::uint64_t end = 0;
  std::size_t units = 0, pieces = 0;
  for (int i = 0; i < count && cursor.check("chunks", true); ++i) {
    message.chunks.push_back(take_chunk(cursor, message.chunks.size()));
    const Chunks::Chunk& chunk = message.chunks.back();
    units += std::max<std::size_t>(1, chunk.unit_ids.size());
    cursor.check("units", units <= kBlockUnitsMax);
    cursor.check("pieces", pieces + chunk.piece_bytes.size() <= limits::kBlockPiecesMax);
    if (chunk.keys) {
      const bool all = chunk.piece_bytes.size() == pieces && i + 1 == count;
      cursor.check("keys", all && chunk.offset == 0 && chunk.bytes() <= message.raw_bytes);
      continue;
    }
    pieces += chunk.piece_bytes.size();
    cursor.check("offset", chunk.offset >= end);
    if (!cursor.check("pieces", true)) break;
    end = chunk.offset + chunk.bytes() + (chunk.piece_bytes.size() - 1) * message.gap_bytes;
    cursor.check("piece_bytes", end <= message.raw_bytes);
  }
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
