// Cutter and Skeleton over streams of every shape: blocks that fit together again, whatever the pieces they were read
// in; chunks that are the same wherever in the stream they stand.
#include <gtest/gtest.h>

#include <map>

#include "chunk/cutter.h"
#include "chunk/id.h"
#include "chunk/skeleton.h"
#include "unit/zstream/sample_streams.h"
#include "zstream/walker.h"

namespace zferry::chunk {
namespace {

using zstream::StreamWriter;
using zstream::testing::random_bytes;

struct Block {
  std::uint64_t offset;
  ConstBytes bytes;
  Layout layout;
  std::optional<zstream::Fletcher4> running;
};

// Cuts a stream as a source does that reads it in random pieces; `patience` false: every read may end a block anywhere.
std::vector<Block> cut_all(ConstBytes stream, const Sizes& sizes, std::uint64_t seed, bool patience = true) {
  SeededRandom random(seed);
  Cutter cutter(sizes);
  zstream::RecordWalker walker;
  zstream::ChecksumVerifier verifier;
  std::vector<Block> blocks;
  std::size_t cut = 0, read = 0;
  while (cut < stream.size()) {
    const std::size_t room = cut + sizes.block_bytes - read;
    const std::size_t piece = std::min({stream.size() - read, room, std::size_t{1} + random.below(sizes.block_bytes)});
    cutter.scan(stream.subspan(read, piece));
    read += piece;
    std::size_t length = cutter.whole(sizes.block_bytes);
    const bool full = read - cut == sizes.block_bytes || read == stream.size();
    if (!patience && random.below(3) == 0) length = cutter.waiting();
    if (length == 0 && full) length = cutter.waiting();
    if (length == 0) continue;
    if (!full && patience && random.below(2) == 0) continue;
    Block block{cut, stream.subspan(cut, length), cutter.cut(length), {}};
    auto plan = walker.walk(block.bytes);
    if (plan) {
      block.running = verifier.running();
      EXPECT_TRUE(verifier.fold(*plan, zstream::compute(*plan, block.bytes)).ok());
    }
    blocks.push_back(std::move(block));
    cut += length;
  }
  return blocks;
}

// The block out of its skeleton and its chunks. Gives how long the skeleton was.
std::size_t expect_fits_together(const Block& block) {
  const auto encoded = encode_skeleton(block.layout, block.bytes, block.offset, block.running);
  auto skeleton = Skeleton::decode(encoded, block.bytes.size());
  EXPECT_TRUE(skeleton.ok()) << skeleton.error().what;
  EXPECT_EQ(skeleton->pieces(), block.layout.pieces);
  std::vector<std::byte> made(block.bytes.size(), std::byte{0xee});
  skeleton->put(made);
  for (const Layout::Piece& piece : block.layout.pieces)
    std::ranges::copy(block.bytes.subspan(piece.offset, piece.bytes), made.begin() + piece.offset);
  EXPECT_TRUE(skeleton->put_checksums(made).ok());
  EXPECT_TRUE(std::ranges::equal(made, block.bytes)) << "block at " << block.offset;
  return encoded.size();
}

void expect_sound(const Block& block, const Sizes& sizes) {
  std::uint64_t at = 0;
  std::size_t units = 0, pieces = 0, message = 0;
  for (const Layout::Piece& piece : std::span(block.layout.pieces).first(block.layout.payload_pieces())) {
    EXPECT_GE(piece.offset, at);
    at = piece.offset + piece.bytes;
  }
  EXPECT_LE(at, block.bytes.size());
  for (const Layout::Chunk& chunk : block.layout.chunks) {
    EXPECT_EQ(chunk.first_unit, units);
    const bool keys = block.layout.has_keys && &chunk == &block.layout.chunks.back();
    EXPECT_TRUE(keys || chunk.bytes >= sizes.chunk_bytes_min);
    std::uint64_t bytes = 0;
    for (std::size_t u = 0; u < chunk.units; ++u, ++units) {
      const Layout::Unit& unit = block.layout.units[units];
      EXPECT_EQ(unit.first_piece, pieces);
      std::uint64_t of_pieces = 0;
      for (std::size_t p = 0; p < unit.pieces; ++p, ++pieces) of_pieces += block.layout.pieces[pieces].bytes;
      EXPECT_EQ(of_pieces, unit.bytes);
      bytes += unit.bytes;
    }
    EXPECT_EQ(bytes, chunk.bytes);
    if (!keys) message += message_bytes(chunk.units);
  }
  EXPECT_EQ(units, block.layout.units.size());
  EXPECT_EQ(pieces, block.layout.pieces.size());
  EXPECT_LE(message, kMessageBytesMax + message_bytes(1)) << "a split makes one more";
}

TEST(Cutter, BlocksOfEveryShapeOfStreamFitTogetherAgain) {
  std::size_t blocks = 0, chunks = 0, checked = 0;
  for (const auto& sample : zstream::testing::sample_streams()) {
    for (std::size_t block_bytes : {2048u, 16384u, 1u << 20}) {
      const Sizes sizes = Sizes::of(block_bytes);
      for (bool patience : {true, false}) {
        std::size_t total = 0;
        SCOPED_TRACE(sample.name + (patience ? ", patient" : ", impatient"));
        for (const Block& block : cut_all(sample.bytes, sizes, block_bytes + patience, patience)) {
          EXPECT_EQ(block.offset, total);
          total += block.bytes.size();
          expect_sound(block, sizes);
          expect_fits_together(block);
          ++blocks;
          chunks += block.layout.chunks.size();
        }
        EXPECT_EQ(total, sample.bytes.size()) << sample.name;
        checked += total;
      }
    }
  }
  EXPECT_GT(blocks, 300u);
  EXPECT_GT(chunks, 200u);
  EXPECT_GT(checked, 500000u);
}

std::vector<std::byte> volume(std::size_t records, std::size_t record_bytes, std::uint64_t first_object = 1,
                              bool swapped = false) {
  StreamWriter writer({swapped, true});
  writer.begin({.toguid = 7, .toname = "pool/vol@a"});
  writer.object(first_object, {});
  for (std::size_t i = 0; i < records; ++i) {
    SeededRandom random(i);
    writer.write(first_object, i * record_bytes, record_bytes, random_bytes(random, record_bytes));
  }
  writer.end();
  return writer.take();
}

std::map<Id, std::uint32_t> ids_of(const std::vector<Block>& blocks) {
  const IdKey key({});
  std::map<Id, std::uint32_t> ids;
  for (const Block& block : blocks) {
    for (const Layout::Chunk& chunk : block.layout.chunks) {
      if (block.layout.has_keys && &chunk == &block.layout.chunks.back()) continue;
      std::vector<ConstBytes> pieces;
      for (std::uint32_t u = chunk.first_unit; u < chunk.first_unit + chunk.units; ++u) {
        const Layout::Unit& unit = block.layout.units[u];
        for (std::uint32_t p = unit.first_piece; p < unit.first_piece + unit.pieces; ++p)
          pieces.push_back(block.bytes.subspan(block.layout.pieces[p].offset, block.layout.pieces[p].bytes));
      }
      ids[key.id_of(pieces)] = chunk.units;
    }
  }
  return ids;
}

TEST(Cutter, ARecordIsAChunkAndItsHeaderCostsLittle) {
  const auto stream = volume(64, 128 * 1024);
  const auto blocks = cut_all(stream, Sizes::of(1 << 20), 1);
  EXPECT_EQ(ids_of(blocks).size(), 64u);
  std::size_t skeletons = 0;
  for (const Block& block : blocks) {
    expect_fits_together(block);
    EXPECT_LE(block.bytes.size(), 1u << 20);
    skeletons += block.layout.chunks.size() - block.layout.has_keys;
  }
  EXPECT_EQ(skeletons, 64u);
  EXPECT_LE(blocks.size(), 16u);
}

TEST(Cutter, ShortRecordsJoinToAlignedExtentsWithUnits) {
  for (bool swapped : {false, true}) {
    const auto stream = volume(256, 16 * 1024, 1, swapped);
    const auto blocks = cut_all(stream, Sizes::of(1 << 20), 2);
    const auto ids = ids_of(blocks);
    EXPECT_EQ(ids.size(), 32u);
    for (const auto& [id, units] : ids) EXPECT_EQ(units, 8u);
    for (const Block& block : blocks) expect_fits_together(block);
  }
}

TEST(Cutter, ChunksDoNotDependOnWhereTheyStandNorHowTheyAreRead) {
  const auto stream = volume(256, 16 * 1024);
  StreamWriter writer;
  writer.begin({.toguid = 9, .toname = "pool/vol@b"});
  SeededRandom random(99);
  writer.object(1, random_bytes(random, 320));
  writer.write(1, 1 << 30, 8192, random_bytes(random, 8192));  // what was not there before moves all that follows
  for (std::size_t i = 0; i < 256; ++i) {
    SeededRandom of(i);
    writer.write(1, i * 16 * 1024, 16 * 1024, random_bytes(of, 16 * 1024));
  }
  writer.end();
  const auto moved = writer.take();
  const auto first = ids_of(cut_all(stream, Sizes::of(1 << 20), 3));
  const auto second = ids_of(cut_all(moved, Sizes::of(1 << 20), 4));
  std::size_t shared = 0;
  for (const auto& [id, units] : first) shared += second.contains(id);
  EXPECT_EQ(shared, first.size());
}

TEST(Cutter, ALongRecordIsCutIntoExtents) {
  StreamWriter writer;
  writer.begin({.toguid = 7, .toname = "pool/fs@a"});
  SeededRandom random(5);
  writer.write(3, 0, 1 << 20, random_bytes(random, 1 << 20));
  writer.write(3, 1 << 20, (5 << 20) / 2, random_bytes(random, (5 << 20) / 2));
  writer.end();
  const auto stream = writer.take();
  const auto blocks = cut_all(stream, Sizes::of(1 << 20), 6);
  EXPECT_EQ(ids_of(blocks).size(), 8u + 20u);
  for (const Block& block : blocks) expect_fits_together(block);
}

// Compressed to a hundredth, eight hundred records would fit a block, and their ids no frame.
TEST(Cutter, ABlockHasNoMoreChunksThanAFrameCanName) {
  StreamWriter writer;
  writer.begin({.toguid = 7, .toname = "pool/fs@a"});
  SeededRandom random(6);
  for (std::uint64_t i = 0; i < 2000; ++i) writer.write(3, i << 17, 1 << 17, random_bytes(random, 1200), 1);
  writer.end();
  const auto stream = writer.take();
  const auto blocks = cut_all(stream, Sizes::of(1 << 20), 9);
  EXPECT_EQ(ids_of(blocks).size(), 2000u);
  for (const Block& block : blocks) expect_sound(block, Sizes::of(1 << 20));
  EXPECT_GT(blocks.size(), 16u);
}

TEST(Cutter, BytesThatAreNoStreamAreCutByContent) {
  SeededRandom random(8);
  auto plain = random_bytes(random, 6 << 20);
  const auto first = ids_of(cut_all(plain, Sizes::of(1 << 20), 1));
  auto moved = plain;
  const auto inserted = random_bytes(random, 777);
  moved.insert(moved.begin() + (2 << 20), inserted.begin(), inserted.end());
  const auto second = ids_of(cut_all(moved, Sizes::of(1 << 20), 2));
  std::size_t shared = 0;
  for (const auto& [id, units] : first) shared += second.contains(id);
  EXPECT_GT(first.size(), 60u);
  EXPECT_GE(shared + 4, first.size());
}

TEST(Skeleton, HeadersThatFollowAPatternTakeFewDifferentBytes) {
  const auto stream = volume(64, 128 * 1024);
  const auto blocks = cut_all(stream, Sizes::of(1 << 20), 1);
  const Block& block = blocks[blocks.size() / 2];
  const auto encoded = encode_skeleton(block.layout, block.bytes, block.offset, block.running);
  const auto zeros = std::ranges::count(encoded, std::byte{0});
  EXPECT_LT(encoded.size() - static_cast<std::size_t>(zeros), 300u);  // it is left to zstd
}

TEST(Skeleton, AnyBytesAtAllAreRefusedOrFitTheBlock) {
  SeededRandom random(3);
  const auto stream = volume(12, 4096);
  const auto blocks = cut_all(stream, Sizes::of(16384), 1);
  std::size_t refused = 0, taken = 0;
  for (const Block& block : blocks) {
    const auto encoded = encode_skeleton(block.layout, block.bytes, block.offset, block.running);
    for (int i = 0; i < 3000; ++i) {
      auto damaged = encoded;
      for (std::uint64_t n = 1 + random.below(3); n > 0; --n)
        damaged[random.below(std::min<std::uint64_t>(damaged.size(), 80))] = static_cast<std::byte>(random.below(256));
      if (random.below(5) == 0) damaged.resize(random.below(damaged.size()));
      auto skeleton = Skeleton::decode(damaged, block.bytes.size());
      if (!skeleton) {
        ++refused;
        continue;
      }
      ++taken;
      std::vector<std::byte> made(block.bytes.size());
      skeleton->put(made);
      std::uint64_t payload = 0;
      for (const Layout::Piece& piece : skeleton->pieces()) {
        ASSERT_LE(std::uint64_t{piece.offset} + piece.bytes, made.size());
        payload += piece.bytes;
      }
      EXPECT_EQ(payload, skeleton->payload_bytes());
      (void)skeleton->put_checksums(made).ok();
    }
  }
  EXPECT_GT(refused, 1000u);
  EXPECT_GT(taken, 100u);
}

}  // namespace
}  // namespace zferry::chunk
