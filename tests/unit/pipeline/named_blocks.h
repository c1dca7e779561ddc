// Blocks whose chunks are named, without a source: a stream cut as a source cuts it, the message about a block, and the
// recipe of it for any answer. For tests of both ends of deduplication. Plain functions; thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "chunk/cutter.h"
#include "chunk/id.h"
#include "pipeline/outgoing_block.h"
#include "pipeline/recipe.h"
#include "zstream/walker.h"

namespace zferry::pipeline::testing {

struct CutBlock {
  wire::Block header;
  ConstBytes bytes;
  chunk::Layout layout;
  std::optional<zstream::Fletcher4> running;
};

// The longest blocks that split no chunk; where there is none such, as long as they may be.
inline std::vector<CutBlock> cut_stream(ConstBytes stream, std::size_t block_bytes) {
  chunk::Cutter cutter(chunk::Sizes::of(block_bytes));
  zstream::RecordWalker walker;
  zstream::ChecksumVerifier verifier;
  std::vector<CutBlock> blocks;
  for (std::size_t cut = 0, read = 0; cut < stream.size();) {
    const std::size_t more = std::min(stream.size(), cut + block_bytes) - read;
    cutter.scan(stream.subspan(read, more));
    read += more;
    std::size_t length = cutter.whole(block_bytes);
    if (length == 0) length = cutter.waiting();
    CutBlock block;
    block.header = {blocks.size(), cut, static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(length),
                    wire::Encoding::kStored};
    block.bytes = stream.subspan(cut, length);
    block.layout = cutter.cut(length);
    if (auto plan = walker.walk(block.bytes)) {
      block.running = verifier.running();
      if (!verifier.fold(*plan, zstream::compute(*plan, block.bytes))) block.running.reset();
    }
    blocks.push_back(std::move(block));
    cut += length;
  }
  return blocks;
}

inline flow::Buffer buffer_of(std::size_t bytes) {
  struct Memory {
    std::vector<std::byte> bytes;
    Bytes view;
  };
  auto memory = std::make_shared<Memory>(Memory{std::vector<std::byte>(bytes), {}});
  memory->view = memory->bytes;
  return {memory, &memory->view};
}

inline std::vector<std::byte> to_vector(ConstBytes bytes) { return {bytes.begin(), bytes.end()}; }

// As a source sends it when the target lacks `missing`; nothing where the block goes as it is.
inline std::optional<std::vector<std::byte>> recipe_of(const CutBlock& of, const UnitSet& missing,
                                                       const seal::SecretBytes& leaf_key,
                                                       pack::Mode mode = pack::Mode::kAlways) {
  OutgoingBlock block;
  block.header = of.header;
  block.raw = {nullptr, of.bytes};
  block.layout = of.layout;
  block.running = of.running;
  block.missing = missing;
  pack_missing(block, {{mode, 3}, pack::Hint::kUnknown, {}}, leaf_key, buffer_of(packed_bytes_wanted(block)));
  if (block.header.encoding != wire::Encoding::kChunks) return {};
  return to_vector(block.packed.bytes);
}

inline wire::Block recipe_header(const CutBlock& of, ConstBytes recipe) {
  wire::Block header = of.header;
  header.encoding = wire::Encoding::kChunks;
  header.packed_bytes = static_cast<std::uint32_t>(recipe.size());
  return header;
}

// The bytes of a unit, one piece behind the other.
inline std::vector<std::byte> unit_of(const CutBlock& block, std::size_t unit) {
  std::vector<std::byte> bytes;
  const chunk::Layout::Unit& of = block.layout.units[unit];
  for (std::size_t p = of.first_piece; p < of.first_piece + of.pieces; ++p) {
    const ConstBytes piece = block.bytes.subspan(block.layout.pieces[p].offset, block.layout.pieces[p].bytes);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  return bytes;
}

// A recipe as it is before it is packed, field by field: for those that want to break one of them.
struct PlainRecipe {
  seal::Proof proof{};
  std::uint16_t units = 0;
  std::vector<std::byte> bits;
  std::vector<std::byte> skeleton;
  std::vector<std::byte> literals;

  std::vector<std::byte> bytes() const {
    std::vector<std::byte> out(proof.begin(), proof.end());
    const auto add = [&](ConstBytes more) { out.insert(out.end(), more.begin(), more.end()); };
    for (std::size_t length : {skeleton.size(), skeleton.size(), literals.size(), literals.size()}) {
      const auto word = static_cast<std::uint32_t>(length);
      add(std::as_bytes(std::span(&word, 1)));
    }
    add(std::as_bytes(std::span(&units, 1)));
    add(bits);
    add(skeleton);
    add(literals);
    return out;
  }
};

inline PlainRecipe plain_recipe(const CutBlock& of, const UnitSet& missing, const seal::SecretBytes& leaf_key) {
  PlainRecipe plain;
  plain.proof = seal::proof_of(leaf_key, of.header.offset, of.bytes);
  plain.units = static_cast<std::uint16_t>(of.layout.units.size());
  plain.bits.resize((of.layout.units.size() + 7) / 8);
  plain.skeleton = chunk::encode_skeleton(of.layout, of.bytes, of.header.offset, of.running);
  for (std::size_t unit = 0; unit < of.layout.units.size(); ++unit) {
    if (!missing.has(unit)) continue;
    plain.bits[unit / 8] |= std::byte{1} << unit % 8;
    const std::vector<std::byte> bytes = unit_of(of, unit);
    plain.literals.insert(plain.literals.end(), bytes.begin(), bytes.end());
  }
  return plain;
}

}  // namespace zferry::pipeline::testing
