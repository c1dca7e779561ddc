// Chunks of blocks as bytes of a segment's chunks file, and back. docs/STORE.md, "Chunks". Threading: any.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "store/file_header.h"
#include "store/store.h"

namespace zferry::store {

inline constexpr std::size_t kChunkEntryBytesMax = 64 * limits::KiB;

// Before the first entry of a file.
struct ChunksStart {
  Scope scope{};
  Check segment{};               // of the segment's header
  std::uint64_t generation = 0;  // in which it was written: what is there twice is found in the younger one
};
inline constexpr std::size_t kChunksStartBytes = 40;
std::array<std::byte, kChunksStartBytes> encode(const ChunksStart& start);
ChunksStart decode_chunks_start(ConstBytes bytes);

struct ChunkEntry {
  std::uint32_t at = 0;  // of the block in the segment's file
  BlockFacts block;
  std::vector<ChunkFacts> chunks;
};

// One entry, or more where it would be longer than kChunkEntryBytesMax. A chunk that is longer by itself is left out.
std::vector<std::vector<std::byte>> encode_chunks(std::uint32_t at, const BlockFacts& block,
                                                  std::span<const ChunkFacts> chunks);

// The entries of a page. Nothing where one is none.
std::optional<std::vector<ChunkEntry>> decode_chunks(ConstBytes entries);

// Only what the index takes: ids of whole chunks, and of the units of others. False where an entry is none; what was
// seen before it may stay.
bool decode_chunk_ids(ConstBytes entries, const std::function<void(const chunk::SubId& id, bool whole)>& see);

}  // namespace zferry::store
