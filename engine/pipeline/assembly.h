// What putting a block together takes, step by step; for a block that comes and for one that the store had. Plain
// functions over a block. docs/PROTOCOL.md, "Chunks".
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "pipeline/disk.h"
#include "pipeline/recipe.h"
#include "seal/keys.h"

namespace zferry::pipeline {

// A chunk was found as a whole: each of its units is a part of that.
void split_found(const store::FoundRuns& whole, std::span<const std::uint32_t> unit_bytes,
                 std::span<std::optional<store::FoundRuns>> units);

// Copies into the block what the store has for its gaps. Errors: kStoreFailed: something cannot be read, or was not
// found at all; `unreadable` then says what, if anything was there.
Status fill_gaps(Disk& disk, const std::vector<Gap>& gaps, std::span<const std::uint32_t> unit_bytes,
                 std::span<const std::optional<store::FoundRuns>> found, Bytes block,
                 std::optional<store::BlockPlace>& unreadable);

// The checksums, then whether the block is what the source has. Errors: kProtocol: it is not.
Status prove_block(const Recipe& recipe, const seal::SecretBytes& leaf_key, std::uint64_t offset, Bytes block);

// A block that the store keeps as a recipe. Errors: kStoreFailed.
Status unpack_kept(Disk& disk, const seal::SecretBytes& leaf_key, std::uint64_t offset, ConstBytes kept, Bytes block);

// What a block brings that came as it is; or one that came as a recipe, which is what the places are in then.
std::vector<store::ChunkFacts> chunks_in_block(const wire::Chunks& named);
std::vector<store::ChunkFacts> chunks_in_recipe(const wire::Chunks& named, const Recipe& recipe);

}  // namespace zferry::pipeline
