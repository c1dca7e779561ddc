// A block on its way through the source, and how it is packed. Plain functions, for any thread.
#pragma once

#include <array>
#include <optional>

#include "base/clock.h"
#include "chunk/id.h"
#include "chunk/layout.h"
#include "flow/buffer_pool.h"
#include "pack/level_choice.h"
#include "pack/pack.h"
#include "pipeline/recipe.h"
#include "seal/leaf.h"
#include "wire/messages.h"
#include "zstream/checksum_plan.h"

namespace zferry::pipeline {

// Each stage fills in its part.
struct OutgoingBlock {
  wire::Block header;                             // of what goes out: raw_bytes is 0 where nothing of it does
  std::size_t skipped_bytes = 0;                  // at the start of raw: the target has them
  flow::Slice raw;                                // let go when packed
  zstream::ChecksumPlan plan;                     // parse
  zstream::ChecksumSums sums;                     // work
  std::optional<seal::Leaf> leaf;                 // work, where the block is a whole leaf
  flow::Slice packed;                             // work; where stored: the raw bytes
  pack::Texture texture = pack::Texture::kDense;  // work, where the level adapts
  int level = 0;                                  // the same
  Duration packing{0};                            // the same
  // Where its chunks are named to the target:
  enum class Stage { kPacked, kToName, kNamed, kAnswered, kPacking };
  Stage stage = Stage::kPacked;
  chunk::Layout layout;                       // cut
  wire::Chunks chunks;                        // work
  std::optional<zstream::Fletcher4> running;  // verify: of all before it
  UnitSet missing;                            // the answer
  std::size_t found_bytes = 0;                // that its recipe leaves out
  bool whole = false;                         // it goes as it is
};

// How hard a block is to be packed: as told, or by its texture.
struct Packing {
  pack::PackSettings settings;
  pack::Hint hint;
  std::array<int, pack::kPackableTextures> levels;  // by texture, where the level adapts
};

// Fills in `packed`, and what the header says of it. `room` holds as many bytes as the block; null: it goes as it is.
void pack_block(OutgoingBlock& block, const Packing& how, const flow::Buffer& room);
// The same, of what the target lacks alone; as it is where that is no shorter. REQUIRES: `running` is set where every
// checksum was verified.
void pack_missing(OutgoingBlock& block, const Packing& how, const seal::SecretBytes& leaf_key,
                  const flow::Buffer& room);
// What room pack_missing() should have.
std::size_t packed_bytes_wanted(const OutgoingBlock& block);
// What the block is made of, with the ids.
wire::Chunks name_chunks(const chunk::IdKey& key, const chunk::Layout& layout, ConstBytes block,
                         const wire::Block& header);

}  // namespace zferry::pipeline
