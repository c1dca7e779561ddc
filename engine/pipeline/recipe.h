// Recipe: a block as what the target lacks of it, and how the rest goes with that. Encoded as kChunks on the link; with
// the places of what the target had, in the store. docs/PROTOCOL.md, "Chunks"; docs/STORE.md, "Recipes". The packer and
// its mirror. Plain functions over a block; thread-safe.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "chunk/layout.h"
#include "chunk/skeleton.h"
#include "seal/leaf.h"
#include "store/store.h"
#include "wire/messages.h"

namespace zferry::pipeline {

// Which units of a block, by their number over all chunks.
class UnitSet {
 public:
  UnitSet() = default;
  explicit UnitSet(std::vector<std::uint64_t> words) : words_(std::move(words)) {}
  bool has(std::size_t unit) const { return unit / 64 < words_.size() && (words_[unit / 64] >> (unit % 64) & 1) != 0; }
  void add(std::size_t unit) {
    if (words_.size() <= unit / 64) words_.resize(unit / 64 + 1, 0);
    words_[unit / 64] |= std::uint64_t{1} << unit % 64;
  }
  const std::vector<std::uint64_t>& words() const { return words_; }

 private:
  std::vector<std::uint64_t> words_;
};

// How the literals are packed: into `out`, which has room for as many bytes; 0: as they are.
using PackLiterals = std::function<std::size_t(ConstBytes literals, Bytes out)>;
// `block` by its layout, with the units of `missing` in it. Gives its length in `out`; 0: it is no shorter than that.
std::size_t pack_recipe(const chunk::Layout& layout, ConstBytes block, const UnitSet& missing,
                        const std::vector<std::byte>& skeleton, const seal::Proof& proof, const PackLiterals& pack,
                        Bytes out);

// What is to be copied into a block: bytes of a unit.
struct Gap {
  std::uint32_t unit;
  std::uint32_t unit_offset;
  std::uint32_t offset;  // in the block
  std::uint32_t bytes;
};

class Recipe {
 public:
  // For a block of `block_bytes`, whose units are so long. Errors: kProtocol.
  static Result<Recipe> decode(ConstBytes packed, std::size_t block_bytes, std::span<const std::uint32_t> unit_bytes);
  const seal::Proof& proof() const { return proof_; }
  bool brings(std::size_t unit) const { return literal_.has(unit); }
  // The bytes of the units that it brings, one behind the other.
  ConstBytes literals() const { return literals_; }
  // Puts all that it brings into the block, and gives what is left to be copied.
  std::vector<Gap> put(Bytes block) const;
  // With all gaps filled: the checksums. Errors: kProtocol.
  Status finish(Bytes block) const { return skeleton_.put_checksums(block); }

 private:
  explicit Recipe(chunk::Skeleton skeleton) : skeleton_(std::move(skeleton)) {}
  chunk::Skeleton skeleton_;
  seal::Proof proof_{};
  UnitSet literal_;
  std::vector<std::uint32_t> unit_bytes_;
  std::vector<std::byte> literals_;
};

// The literals alone, of a recipe as it is on the link. Errors: kProtocol.
Result<std::vector<std::byte>> literals_of(ConstBytes packed, std::size_t block_bytes);

// A recipe with the places of the units that it does not bring: what the store keeps. found[unit] is nothing for those
// that it brings.
struct KeptRecipe {
  std::vector<std::uint32_t> unit_bytes;
  std::vector<std::optional<store::FoundRuns>> found;
  ConstBytes recipe;
};
std::vector<std::byte> encode_kept(const KeptRecipe& kept);
// `recipe` is a view into `bytes`. Errors: kStoreFailed.
Result<KeptRecipe> decode_kept(ConstBytes bytes);
// The blocks that a block of the store refers to; none where it came as it is. Errors: kStoreFailed.
Result<std::vector<store::BlockPlace>> places_in(const store::BlockFacts& block, ConstBytes packed);

}  // namespace zferry::pipeline
