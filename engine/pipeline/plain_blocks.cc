#include "pipeline/plain_blocks.h"

#include <algorithm>

#include "pack/pack.h"
#include "pipeline/recipe.h"

namespace zferry::pipeline {
namespace {

Error damaged(const std::string& why) { return {Fault::kStoreFailed, "a block that the store had: " + why, {}}; }

}  // namespace

// What its runs are places in: of a recipe, what that brings.
Status PlainBlocks::load(store::Store& store, const store::BlockPlace& place, std::vector<std::byte>& plain) {
  const store::BlockFacts& block = place.block;
  if (block.raw_bytes > limits::kBlockBytesMax || block.packed_bytes > limits::kBlockBytesMax)
    return damaged("it is too long");
  const auto encoding = static_cast<wire::Encoding>(block.encoding);
  if (encoding == wire::Encoding::kStored) {
    plain.resize(block.packed_bytes);
    return store.read(place, plain);
  }
  packed_.resize(std::max<std::size_t>(packed_.size(), block.packed_bytes));
  const Bytes packed = Bytes(packed_).first(block.packed_bytes);
  if (Status status = store.read(place, packed); !status) return status;
  if (encoding == wire::Encoding::kZstd) {
    plain.resize(block.raw_bytes);
    if (Status status = pack::unpack(packed, plain); !status) return damaged(status.error().what);
    return {};
  }
  if (encoding != wire::Encoding::kChunks) return damaged("its encoding is unknown");
  auto kept = decode_kept(packed);
  if (!kept) return kept.take_error();
  auto literals = literals_of(kept->recipe, block.raw_bytes);
  if (!literals) return damaged(literals.error().what);
  plain = std::move(*literals);
  return {};
}

// The memory of the one that was used longest ago takes the new one.
Result<ConstBytes> PlainBlocks::get(store::Store& store, const store::BlockPlace& place) {
  const auto known = std::ranges::find(blocks_, place, &Block::place);
  if (known != blocks_.end()) {
    blocks_.splice(blocks_.begin(), blocks_, known);
    return ConstBytes(blocks_.front().bytes);
  }
  constexpr std::size_t kBlocksMax = limits::kPlainCacheBytes / limits::kBlockBytesMax;
  if (blocks_.size() < kBlocksMax) {
    blocks_.emplace_front();
  } else {
    blocks_.splice(blocks_.begin(), blocks_, std::prev(blocks_.end()));
  }
  Block& block = blocks_.front();
  block.place = {};
  if (Status loaded = load(store, place, block.bytes); !loaded) return loaded.take_error();
  block.place = place;
  return ConstBytes(block.bytes);
}

Status PlainBlocks::read(store::Store& store, const store::FoundRuns& from, Bytes into) {
  auto plain = get(store, from.place);
  if (!plain) return plain.take_error();
  for (const store::Run& run : from.runs) {
    if (run.offset > plain->size() || run.bytes > plain->size() - run.offset || run.bytes > into.size())
      return damaged("it is shorter than was noted");
    copy_bytes(plain->subspan(run.offset, run.bytes), into);
    into = into.subspan(run.bytes);
  }
  return into.empty() ? Status() : Status(damaged("it has less than was noted"));
}

}  // namespace zferry::pipeline
