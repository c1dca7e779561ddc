// Chunks as bytes: there and back, cut, changed, too long; and in memory.
#include "store/chunk_entry.h"

#include "store/footer.h"
#include "unit/store/window_setting.h"

namespace zferry::store {
namespace {

using Page = std::vector<std::byte>;

Page page_of(const std::vector<Page>& entries) {
  Page page;
  for (const Page& entry : entries) page.insert(page.end(), entry.begin(), entry.end());
  return page;
}

bool same(const ChunkFacts& a, const ChunkFacts& b) {
  return a.id == b.id && std::ranges::equal(a.units, b.units, [](const auto& one, const auto& other) {
           return one.id == other.id && one.runs == other.runs;
         });
}

TEST(ChunkEntryTest, ThereAndBack) {
  std::vector<Page> entries;
  for (std::uint64_t number = 0; number < 5; ++number)
    for (Page& entry :
         encode_chunks(64 + static_cast<std::uint32_t>(number), block_facts(number, 900), chunks_of(number)))
      entries.push_back(std::move(entry));
  const auto back = decode_chunks(page_of(entries));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), 5u);
  std::size_t ids = 0, whole = 0;
  ASSERT_TRUE(decode_chunk_ids(page_of(entries), [&](const chunk::SubId&, bool is_whole) {
    ++ids;
    whole += is_whole;
  }));
  EXPECT_EQ(ids, 5 * 4u);
  EXPECT_EQ(whole, 5 * 2u);
  for (std::uint64_t number = 0; number < 5; ++number) {
    EXPECT_EQ((*back)[number].at, 64 + number);
    EXPECT_TRUE((*back)[number].block == block_facts(number, 900));
    EXPECT_TRUE(std::ranges::equal((*back)[number].chunks, chunks_of(number), same));
  }
}

TEST(ChunkEntryTest, AChunkOfOneUnitTakesLittle) {
  std::vector<ChunkFacts> chunks;
  for (std::uint32_t i = 0; i < 8; ++i) {
    chunks.emplace_back().id = chunk_id(i, 0, 0);
    chunks.back().units.push_back({chunk::sub_id(*chunks.back().id), {{i * 131072, 131072}}});
  }
  EXPECT_LE(page_of(encode_chunks(64, block_facts(1, 900), chunks)).size(), 30 + 8 * 24u);
}

TEST(ChunkEntryTest, NoneIsLongerThanAPageTakes) {
  std::vector<ChunkFacts> chunks;
  for (std::uint64_t i = 0; i < 400; ++i) {
    chunks.emplace_back().id = chunk_id(i, 0, 0);
    for (std::uint32_t unit = 0; unit < 20; ++unit)
      chunks.back().units.push_back({unit_id(i, 0, 0, static_cast<int>(unit)), {{unit * 1000, 7}, {unit * 99, 8}}});
  }
  ChunkFacts giant;
  giant.id = chunk_id(1, 1, 1);
  for (std::uint32_t unit = 0; unit < kUnitsMax; ++unit)
    giant.units.push_back({unit_id(1, 1, 1, 0), Runs(kRunsMax, {unit, 1})});
  chunks.insert(chunks.begin() + 5, giant);
  const auto entries = encode_chunks(64, block_facts(1, 900), chunks);
  EXPECT_GT(entries.size(), 1u);
  chunks.erase(chunks.begin() + 5);
  std::size_t seen = 0;
  for (const Page& entry : entries) {
    EXPECT_LE(entry.size(), kChunkEntryBytesMax);
    const auto back = decode_chunks(entry);
    ASSERT_TRUE(back);
    ASSERT_EQ(back->size(), 1u);
    for (const ChunkFacts& chunk : (*back)[0].chunks) EXPECT_TRUE(same(chunk, chunks.at(seen++)));
  }
  EXPECT_EQ(seen, chunks.size());
}

TEST(ChunkEntryTest, AnythingElseIsRefusedOrHarmless) {
  const Page page = page_of(encode_chunks(64, block_facts(1, 900), chunks_of(1)));
  const auto ignore = [](const chunk::SubId&, bool) {};
  for (std::size_t bytes = 1; bytes < page.size(); ++bytes) {
    EXPECT_FALSE(decode_chunks(ConstBytes(page).first(bytes))) << bytes;
    EXPECT_FALSE(decode_chunk_ids(ConstBytes(page).first(bytes), ignore)) << bytes;
  }
  SeededRandom random(4);
  for (int round = 0; round < 20000; ++round) {
    Page changed = page;
    for (std::uint64_t i = 0; i <= random.below(3); ++i)
      changed[random.below(changed.size())] = static_cast<std::byte>(random.next());
    decode_chunk_ids(changed, ignore);
    const auto back = decode_chunks(changed);
    for (const ChunkEntry& entry : back.value_or(std::vector<ChunkEntry>())) {
      EXPECT_GE(entry.at, 64u);
      for (const ChunkFacts& chunk : entry.chunks) EXPECT_LE(chunk.units.size(), kUnitsMax);
    }
  }
}

TEST(FooterTest, FindsByIdAndByUnit) {
  Footer footer;
  constexpr std::uint64_t kBlocks = 300;
  EXPECT_FALSE(footer.find(chunk_id(0, 0, 0), kChunkBytes));
  EXPECT_FALSE(footer.find(unit_id(0, 0, 1, 0), kUnitBytes));
  for (std::uint64_t number = 0; number < kBlocks; ++number)
    footer.add(static_cast<std::uint32_t>(64 + number * 100), block_facts(number, 84), chunks_of(number));
  for (std::uint64_t number = 0; number < kBlocks; ++number) {
    const auto whole = footer.find(chunk_id(number, 0, 1), kChunkBytes);
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->at, 64 + number * 100);
    EXPECT_TRUE(whole->block == block_facts(number, 84));
    EXPECT_EQ(whole->runs.size(), 10u);
    EXPECT_EQ(whole->runs[2], (Runs{{2500, 150}})[0]);
    const auto unit = footer.find(unit_id(number, 0, 1, 3), kUnitBytes);
    ASSERT_TRUE(unit);
    EXPECT_EQ(unit->runs, (Runs{{1500, 150}, {1660, 50}}));
    EXPECT_TRUE(footer.find(unit_id(number, 0, 2, 1), kUnitBytes));
    EXPECT_TRUE(footer.find(chunk::sub_id(chunk_id(number, 0, 0)), kChunkBytes)) << "a whole of one unit";
    EXPECT_FALSE(footer.find(chunk_id(number, 0, 1), kChunkBytes + 1));
    EXPECT_FALSE(footer.find(chunk_id(number, 0, 2), kChunkBytes));
    EXPECT_FALSE(footer.find(unit_id(number, 0, 1, 3), kUnitBytes - 1));
  }
  footer.forget(64 + 7 * 100);
  EXPECT_FALSE(footer.find(chunk_id(7, 0, 1), kChunkBytes));
  EXPECT_FALSE(footer.find(unit_id(7, 0, 1, 3), kUnitBytes));
  EXPECT_TRUE(footer.find(chunk_id(8, 0, 1), kChunkBytes));
  EXPECT_LT(footer.bytes(), kBlocks * 1000);
}

}  // namespace
}  // namespace zferry::store
