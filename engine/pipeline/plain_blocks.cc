#include "pipeline/plain_blocks.h"

#include <algorithm>

#include "pack/pack.h"
#include "pipeline/recipe.h"

namespace zferry::pipeline {
namespace {

Error damaged(const std::string& why) { return {Fault::kStoreFailed, "a block that the store had: " + why, {}}; }

// What its runs are places in: of a recipe, what that brings.
Result<std::vector<std::byte>> plain_of(const store::BlockFacts& block, ConstBytes packed) {
  switch (static_cast<wire::Encoding>(block.encoding)) {
    case wire::Encoding::kStored: return std::vector<std::byte>(packed.begin(), packed.end());
    case wire::Encoding::kZstd: {
      std::vector<std::byte> plain(block.raw_bytes);
      if (Status status = pack::unpack(packed, plain); !status) return damaged(status.error().what);
      return plain;
    }
    case wire::Encoding::kChunks: {
      auto kept = decode_kept(packed);
      if (!kept) return kept.take_error();
      auto literals = literals_of(kept->recipe, block.raw_bytes);
      if (!literals) return damaged(literals.error().what);
      return literals;
    }
  }
  return damaged("its encoding is unknown");
}

}  // namespace

Result<ConstBytes> PlainBlocks::get(store::Store& store, const store::BlockPlace& place) {
  const auto known = std::ranges::find(blocks_, place, &Block::place);
  if (known != blocks_.end()) {
    blocks_.splice(blocks_.begin(), blocks_, known);
    return ConstBytes(blocks_.front().bytes);
  }
  if (place.block.raw_bytes > limits::kBlockBytesMax || place.block.packed_bytes > limits::kBlockBytesMax)
    return damaged("it is too long");
  packed_.resize(place.block.packed_bytes);
  if (Status status = store.read(place, packed_); !status) return status.take_error();
  auto plain = plain_of(place.block, packed_);
  if (!plain) return plain.take_error();
  bytes_ += plain->size();
  blocks_.push_front({place, std::move(*plain)});
  while (bytes_ > limits::kPlainCacheBytes && blocks_.size() > 1) {
    bytes_ -= blocks_.back().bytes.size();
    blocks_.pop_back();
  }
  return ConstBytes(blocks_.front().bytes);
}

Status PlainBlocks::read(store::Store& store, const store::FoundRuns& from, Bytes into) {
  auto plain = get(store, from.place);
  if (!plain) return plain.take_error();
  for (const store::Run& run : from.runs) {
    if (run.offset > plain->size() || run.bytes > plain->size() - run.offset || run.bytes > into.size())
      return damaged("it is shorter than was noted");
    std::ranges::copy(plain->subspan(run.offset, run.bytes), into.begin());
    into = into.subspan(run.bytes);
  }
  return into.empty() ? Status() : Status(damaged("it has less than was noted"));
}

}  // namespace zferry::pipeline
