#include "pipeline/outgoing_block.h"

#include <algorithm>

#include "zstream/format.h"

namespace zferry::pipeline {
namespace {

std::size_t pack_by(const Packing& how, OutgoingBlock& block, ConstBytes fresh, Bytes out) {
  if (how.settings.mode != pack::Mode::kProbe) return pack::pack(how.settings, how.hint, fresh, out);
  block.texture = how.hint == pack::Hint::kIncompressible ? pack::Texture::kDense : pack::texture_of(fresh);
  if (block.texture == pack::Texture::kDense) return 0;
  block.level = how.levels[static_cast<std::size_t>(block.texture)];
  if (block.level == 0) return 0;
  return pack::pack({pack::Mode::kAlways, block.level}, how.hint, fresh, out);
}

void take_as_it_is(OutgoingBlock& block) {
  block.packed = {block.raw.buffer, block.raw.bytes.subspan(block.skipped_bytes)};
  block.header.encoding = wire::Encoding::kStored;
  block.header.packed_bytes = static_cast<std::uint32_t>(block.packed.bytes.size());
}

}  // namespace

void pack_block(OutgoingBlock& block, const Packing& how, const flow::Buffer& room) {
  const ConstBytes fresh = block.raw.bytes.subspan(block.skipped_bytes);
  if (fresh.empty()) return;
  std::size_t packed = room ? pack_by(how, block, fresh, *room) : 0;
  if (packed == 0) return take_as_it_is(block);
  block.packed = {room, ConstBytes(*room).first(packed)};
  block.header.encoding = wire::Encoding::kZstd;
  block.header.packed_bytes = static_cast<std::uint32_t>(packed);
}

std::size_t packed_bytes_wanted(const OutgoingBlock& block) {
  const std::size_t raw = block.raw.bytes.size();
  std::size_t found = 0;
  // Keys stay in the skeleton, as zeros, until that is packed.
  const std::size_t payload_units =
      block.layout.has_keys ? block.layout.chunks.back().first_unit : block.layout.units.size();
  for (std::size_t unit = 0; unit < payload_units; ++unit)
    if (!block.missing.has(unit)) found += block.layout.units[unit].bytes;
  // Beside what is not found: a length and a place of each piece, a bit of each unit, and the fixed parts.
  const std::size_t more = block.layout.pieces.size() * 16 + block.layout.headers.size() * 8 + 256;
  return std::min(raw, raw - found + more);
}

void pack_missing(OutgoingBlock& block, const Packing& how, const seal::SecretBytes& leaf_key,
                  const flow::Buffer& room) {
  const ConstBytes raw = block.raw.bytes;
  const auto skeleton = chunk::encode_skeleton(block.layout, raw, block.header.offset, block.running);
  const auto pack_literals = [&](ConstBytes literals, Bytes out) {
    return how.settings.mode == pack::Mode::kOff ? 0 : pack_by(how, block, literals, out);
  };
  const seal::Proof proof = seal::proof_of(leaf_key, block.header.offset, raw);
  const std::size_t packed =
      room ? pack_recipe(block.layout, raw, block.missing, skeleton, proof, pack_literals, *room) : 0;
  if (packed == 0) return take_as_it_is(block);
  for (std::size_t unit = 0; unit < block.layout.units.size(); ++unit)
    if (!block.missing.has(unit)) block.found_bytes += block.layout.units[unit].bytes;
  block.packed = {room, ConstBytes(*room).first(packed)};
  block.header.encoding = wire::Encoding::kChunks;
  block.header.packed_bytes = static_cast<std::uint32_t>(packed);
}

wire::Chunks name_chunks(const chunk::IdKey& key, const chunk::Layout& layout, ConstBytes block,
                         const wire::Block& header) {
  wire::Chunks chunks{header.number, header.offset, header.raw_bytes, zstream::kRecordBytes, {}};
  std::vector<ConstBytes> pieces;
  for (const chunk::Layout::Chunk& of : layout.chunks) {
    wire::Chunks::Chunk chunk;
    pieces.clear();
    for (std::size_t u = of.first_unit; u < of.first_unit + of.units; ++u) {
      const chunk::Layout::Unit& unit = layout.units[u];
      const std::size_t before = pieces.size();
      for (std::size_t p = unit.first_piece; p < unit.first_piece + unit.pieces; ++p) {
        pieces.push_back(block.subspan(layout.pieces[p].offset, layout.pieces[p].bytes));
        chunk.piece_bytes.push_back(layout.pieces[p].bytes);
      }
      if (of.units > 1) chunk.unit_ids.push_back(chunk::sub_id(key.id_of(std::span(pieces).subspan(before))));
    }
    chunk.id = key.id_of(pieces);
    chunk.keys = layout.has_keys && &of == &layout.chunks.back();
    if (!chunk.keys) chunk.offset = layout.pieces[layout.units[of.first_unit].first_piece].offset;
    chunks.chunks.push_back(std::move(chunk));
  }
  return chunks;
}

}  // namespace zferry::pipeline
