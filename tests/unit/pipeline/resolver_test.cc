// What a target answers to names, and when: apart from a session, with a disk that has nothing.
#include "pipeline/resolver.h"

#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "unit/pipeline/machine.h"
#include "unit/pipeline/named_blocks.h"

namespace zferry::pipeline {
namespace {

using namespace testing;

constexpr std::uint32_t kBytes = 64 * limits::KiB;

class Answers : public ::testing::Test {
 protected:
  Answers()
      : resolver_(
            one_.host(),
            [this](std::function<Status(Disk&)> job, std::function<void(Status)> done) { done(job(disk_)); },
            [](std::size_t bytes) { return buffer_of(bytes); }, leaf_key_.copy(),
            {[] {},
             [this](Resolver::Resolved block) {
               here_.insert(block.header.number);
               resolved_.push_back(std::move(block));
             },
             [this](std::uint64_t number) { return here_.contains(number); }}) {}

  // A block of one chunk.
  static wire::Chunks names(std::uint64_t number, int chunk) {
    wire::Chunks chunks{number, number * kBytes, kBytes, 0, {}};
    wire::Chunks::Chunk& only = chunks.chunks.emplace_back();
    only.id[0] = static_cast<std::byte>(chunk);
    only.piece_bytes = {kBytes};
    return chunks;
  }
  // As many pieces, and units, as a message holds.
  wire::Chunks long_names(std::uint64_t number) {
    wire::Chunks chunks{number, number * kBytes, kBytes, 0, {}};
    for (std::uint32_t i = 0; i < 3; ++i) {
      wire::Chunks::Chunk& chunk = chunks.chunks.emplace_back();
      one_.machine.random.fill(chunk.id);
      chunk.offset = i * 256;
      chunk.piece_bytes.assign(wire::kPiecesMax, 1);
      chunk.unit_ids.resize(wire::kPiecesMax);
    }
    return chunks;
  }
  // A source sends no recipe that brings all: it is packed by hand.
  static std::vector<std::byte> packed(PlainRecipe recipe) {
    constexpr std::size_t kPackedBytes = sizeof(seal::Proof) + 12;  // where their length stands
    std::vector<std::byte> room(recipe.literals.size());
    room.resize(pack::pack({pack::Mode::kAlways, 3}, pack::Hint::kUnknown, recipe.literals, room));
    std::vector<std::byte> bytes = recipe.bytes();
    bytes.resize(bytes.size() - recipe.literals.size());
    store_at(Bytes(bytes), kPackedBytes, static_cast<std::uint32_t>(room.size()));
    bytes.insert(bytes.end(), room.begin(), room.end());
    return bytes;
  }
  // A block of one chunk, half of which packs to nothing; named, and sent as a recipe that brings all of it.
  void resolve(std::uint64_t number) {
    contents_.push_back(random_bytes(one_.machine.random, kBytes));
    std::ranges::fill(Bytes(contents_.back()).first(kBytes / 2), std::byte{0});
    CutBlock block{{number, number * kBytes, kBytes, kBytes, wire::Encoding::kStored}, contents_.back(), {}, {}};
    block.layout.pieces = {{0, kBytes}};
    block.layout.units = {{0, 1, kBytes}};
    block.layout.chunks = {{0, 1, kBytes}};
    resolver_.named(name_chunks(chunk::IdKey({}), block.layout, block.bytes, block.header));
    EXPECT_EQ(said(), Numbers{number});
    UnitSet all;
    all.add(0);
    const auto recipe = packed(plain_recipe(block, all, leaf_key_));
    flow::Buffer room = buffer_of(recipe.size());
    copy_bytes(recipe, *room);
    resolver_.take(recipe_header(block, recipe), {room, *room});
    one_.world.run_for(seconds(1));
  }
  using Numbers = std::set<std::uint64_t>;
  std::set<std::uint64_t> said() {
    std::set<std::uint64_t> numbers;
    while (const auto need = resolver_.next_need()) {
      (need->whole ? whole_ : asked_).insert(need->number);
      numbers.insert(need->number);
    }
    return numbers;
  }

  OneMachine one_{7};
  seal::SecretBytes leaf_key_ = seal::SecretBytes::random(one_.machine.random);
  Disk disk_;
  std::deque<std::vector<std::byte>> contents_;
  std::vector<Resolver::Resolved> resolved_;
  std::set<std::uint64_t> here_, whole_, asked_;
  Resolver resolver_;
};

TEST_F(Answers, WhatAnEarlierBlockBringsIsWaitedFor) {
  resolver_.named(names(0, 1));
  resolver_.named(names(1, 1));
  resolver_.named(names(2, 2));
  EXPECT_EQ(said(), (Numbers{0, 2}));
  resolver_.stored(2);
  EXPECT_EQ(said(), Numbers{});
  resolver_.stored(0);
  EXPECT_EQ(said(), Numbers{1});
}

TEST_F(Answers, NobodyWaitsForAStoreThatIsFull) {
  resolver_.named(names(0, 1));
  resolver_.named(names(1, 1));
  resolver_.named(names(2, 1));
  EXPECT_EQ(said(), Numbers{0});
  resolver_.wait_no_longer();
  EXPECT_EQ(said(), (Numbers{1, 2}));
  // It may find room again.
  resolver_.named(names(3, 1));
  EXPECT_EQ(said(), Numbers{});
  resolver_.stored(0);
  EXPECT_EQ(said(), Numbers{3});
}

TEST_F(Answers, NobodyWaitsForAStoreThatIsLost) {
  resolver_.named(names(0, 1));
  resolver_.named(names(1, 1));
  EXPECT_EQ(said(), Numbers{0});
  resolver_.nothing_is_stored();
  EXPECT_EQ(said(), Numbers{1});
  resolver_.named(names(2, 1));
  EXPECT_EQ(said(), Numbers{2});
  EXPECT_TRUE(whole_.empty());
}

// Names take memory until their block comes: beyond a bound blocks are asked for as they are.
TEST_F(Answers, MoreNamesThanMayBeKeptAreAnsweredByTheBlocks) {
  std::uint64_t number = 0;
  for (; number < limits::kWindowBlocks && whole_.empty(); ++number) {
    resolver_.named(long_names(number));
    said();
  }
  ASSERT_EQ(whole_.size(), 1u);
  EXPECT_GE(number, 10u);
  EXPECT_LE(number * wire::kPiecesMax * 3 * sizeof(store::FoundRuns), limits::kNamedBytes * 5 / 4);
  // Said again it is the same; once it is here nobody wants it.
  resolver_.say_again();
  EXPECT_EQ(said().size(), number);
  here_.insert(number - 1);
  EXPECT_TRUE(
      resolver_.brought_by({number - 1, (number - 1) * kBytes, kBytes, kBytes, wire::Encoding::kStored}).empty());
  resolver_.say_again();
  EXPECT_EQ(said().size(), number - 1);
  // What is let go makes room.
  EXPECT_FALSE(resolver_.brought_by({0, 0, kBytes, kBytes, wire::Encoding::kStored}).empty());
  whole_.clear();
  resolver_.named(long_names(number));
  EXPECT_EQ(said(), Numbers{number});
  EXPECT_TRUE(whole_.empty());
}

// What the store is to keep waits in memory until it has it, up to a bound; a store that is lost keeps nothing.
TEST_F(Answers, ALostStoreHoldsUpNoRecipe) {
  std::uint64_t number = 0;
  for (; resolved_.size() == number && number < 200; ++number) resolve(number);
  ASSERT_EQ(resolved_.size() + 1, number) << "the last one waits";
  std::size_t kept = 0;
  for (const Resolver::Resolved& each : resolved_) kept += each.kept.bytes.size();
  EXPECT_GT(kept, limits::kKeptRecipeBytes);
  EXPECT_LT(kept, limits::kKeptRecipeBytes + kBytes);
  resolver_.nothing_is_stored();
  one_.world.run_for(seconds(1));
  ASSERT_EQ(resolved_.size(), number);
  std::size_t compared = 0;
  for (const Resolver::Resolved& each : resolved_)
    compared += to_vector(each.raw.bytes) == contents_.at(each.header.number);
  EXPECT_EQ(compared, number);
}

TEST_F(Answers, WhatTheStoreHasTakenMakesRoom) {
  std::uint64_t number = 0;
  for (; resolved_.size() == number && number < 200; ++number) resolve(number);
  ASSERT_EQ(resolved_.size() + 1, number);
  resolved_.erase(resolved_.begin());
  resolver_.stored(0);
  one_.world.run_for(seconds(1));
  EXPECT_TRUE(here_.contains(number - 1));
}

}  // namespace
}  // namespace zferry::pipeline
