// The index: what was put in is found, in little memory, and never under the name of another segment.
#include "store/chunk_index.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace zferry::store {
namespace {

chunk::SubId id_of(std::uint64_t number) {
  chunk::SubId id;
  SeededRandom(number).fill(id);
  return id;
}

bool has(const ChunkIndex& index, const chunk::SubId& id, ChunkIndex::Handle handle) {
  const auto found = index.find(id);
  return std::ranges::find(found, handle) != found.end();
}

TEST(ChunkIndexTest, FindsAllThatWasPutIn) {
  ChunkIndex index;
  constexpr std::uint64_t kEach = 500, kSegments = 400;
  std::vector<ChunkIndex::Handle> handles;
  for (std::uint64_t segment = 0; segment < kSegments; ++segment) {
    handles.push_back(index.acquire());
    ASSERT_NE(handles.back(), 0u);
    for (std::uint64_t i = 0; i < kEach; ++i) index.add(id_of(segment * kEach + i), handles.back());
  }
  EXPECT_EQ(index.entries(), kEach * kSegments);
  std::uint64_t others = 0;
  for (std::uint64_t number = 0; number < kEach * kSegments; ++number) {
    ASSERT_TRUE(has(index, id_of(number), handles[number / kEach])) << number;
    others += index.find(id_of(number)).count - 1;
    others += index.find(id_of(number + 1'000'000'000)).count;
  }
  EXPECT_LE(others, 3u);
}

TEST(ChunkIndexTest, TakesSevenBytesAndAHalfAnEntryAtMost) {
  ChunkIndex index;
  const auto handle = index.acquire();
  SeededRandom random(3);
  const std::uint64_t fixed = index.bytes();
  std::uint64_t count = 0;
  double sum = 0, most = 0;
  int looks = 0;
  for (; count < 2'000'000; ++count) {
    chunk::SubId id;
    random.fill(id);
    index.add(id, handle);
    if (count < 500'000 || count % 20'000 != 0) continue;
    const double each = static_cast<double>(index.bytes() - fixed) / static_cast<double>(count + 1);
    sum += each;
    most = std::max(most, each);
    ++looks;
  }
  EXPECT_LT(sum / looks, 7.2);
  EXPECT_LT(most, 7.5);
}

// Also of ids that are not random at all.
TEST(ChunkIndexTest, IdsThatCount) {
  ChunkIndex index;
  const auto handle = index.acquire();
  for (std::uint64_t number = 0; number < 300'000; ++number) {
    chunk::SubId id;
    std::memcpy(id.data(), &number, id.size());
    index.add(id, handle);
  }
  for (std::uint64_t number = 0; number < 300'000; ++number) {
    chunk::SubId id;
    std::memcpy(id.data(), &number, id.size());
    ASSERT_TRUE(has(index, id, handle));
  }
}

TEST(ChunkIndexTest, WhatIsReleasedIsNotFoundAndMakesRoom) {
  ChunkIndex index;
  std::vector<ChunkIndex::Handle> handles;
  std::uint64_t most = 0;
  // A window of ten segments that moves on: memory stays as it is.
  for (std::uint64_t segment = 0; segment < 500; ++segment) {
    handles.push_back(index.acquire());
    for (std::uint64_t i = 0; i < 2000; ++i) index.add(id_of(segment * 2000 + i), handles.back());
    if (segment >= 10) {
      index.release(handles[segment - 10]);
      for (std::uint64_t i = 0; i < 2000; i += 50) ASSERT_EQ(index.find(id_of((segment - 10) * 2000 + i)).count, 0u);
    }
    if (segment == 50) most = index.bytes();
  }
  EXPECT_LE(index.bytes(), most * 12 / 10);
  for (std::uint64_t i = 490 * 2000; i < 500 * 2000; ++i) ASSERT_TRUE(has(index, id_of(i), handles[i / 2000]));
}

TEST(ChunkIndexTest, AHandleThatIsUsedAgainFindsNothingOfTheOneBefore) {
  ChunkIndex index(8);
  std::vector<ChunkIndex::Handle> handles;
  for (std::uint64_t segment = 0; segment < 8; ++segment) {
    handles.push_back(index.acquire());
    for (std::uint64_t i = 0; i < 300; ++i) index.add(id_of(segment * 300 + i), handles.back());
  }
  EXPECT_EQ(index.acquire(), 0u) << "all are in use";
  for (std::uint64_t segment : {1, 4, 6}) index.release(handles[segment]);
  std::vector<ChunkIndex::Handle> again;
  for (int i = 0; i < 3; ++i) again.push_back(index.acquire());
  EXPECT_EQ(index.acquire(), 0u);
  std::ranges::sort(again);
  EXPECT_EQ(again, (std::vector{handles[1], handles[4], handles[6]}));
  for (std::uint64_t number = 0; number < 2400; ++number) {
    const std::uint64_t segment = number / 300;
    const bool gone = segment == 1 || segment == 4 || segment == 6;
    EXPECT_EQ(index.find(id_of(number)).count, gone ? 0u : 1u) << number;
  }
}

// A chunk that is everywhere costs neither time nor memory without end; the segments that came last are among those
// that are found.
TEST(ChunkIndexTest, AChunkOfEverySegment) {
  ChunkIndex index;
  ChunkIndex::Handle last = 0;
  for (int segment = 0; segment < 5000; ++segment) {
    last = index.acquire();
    for (int twice = 0; twice < 2; ++twice) index.add(id_of(1), last);
    ASSERT_TRUE(has(index, id_of(1), last));
  }
  EXPECT_LE(index.entries(), ChunkIndex::kCandidatesMax);
}

}  // namespace
}  // namespace zferry::store
