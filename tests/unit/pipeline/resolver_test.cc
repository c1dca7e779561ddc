// What a target answers to names, and when: apart from a session, with a disk that has nothing.
#include "pipeline/resolver.h"

#include <gtest/gtest.h>

#include <set>

#include "unit/pipeline/machine.h"

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
            [](std::size_t) -> flow::Buffer { return nullptr; }, seal::SecretBytes::random(one_.machine.random),
            {[] {}, [](Resolver::Resolved) {}, [this](std::uint64_t number) { return here_.contains(number); }}) {}

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
  std::set<std::uint64_t> said() {
    std::set<std::uint64_t> numbers;
    while (const auto need = resolver_.next_need()) {
      (need->whole ? whole_ : asked_).insert(need->number);
      numbers.insert(need->number);
    }
    return numbers;
  }

  OneMachine one_{7};
  Disk disk_;
  std::set<std::uint64_t> here_, whole_, asked_;
  Resolver resolver_;
};

using Numbers = std::set<std::uint64_t>;

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

}  // namespace
}  // namespace zferry::pipeline
