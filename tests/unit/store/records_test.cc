// Records in pages: there and back, and every page that is cut, damaged or breaks a rule is refused.
#include "store/records.h"

#include <gtest/gtest.h>

#include "store/file_names.h"
#include "unit/store/store_setting.h"

namespace zferry::store {
namespace {

using Page = std::vector<std::byte>;

Check check_of(int which) {
  Check check{};
  check[3] = static_cast<std::byte>(which);
  return check;
}

// A page of each kind of record.
Page sample_page() {
  Pages pages;
  pages.begin(1700000000, "tank/vm");
  pages.note(Note::kRun, text("run"));
  pages.segment(4, check_of(4));
  for (std::uint64_t number : {0, 1, 2, 4})
    pages.block(block_facts(number, 500), {4, 64 + 600 * static_cast<std::uint32_t>(number)});
  pages.truncate(2);
  pages.piece(text("state"));
  pages.piece(text(" in pieces"));
  pages.checkpoint(1, 15);
  pages.commit();
  auto all = pages.take();
  EXPECT_EQ(all.size(), 1u);
  return all[0];
}

TEST(RecordsTest, ThereAndBack) {
  SessionContent content;
  Replay replay(content);
  ASSERT_TRUE(replay.apply(sample_page()));
  EXPECT_TRUE(replay.at_commit());
  EXPECT_EQ(content.label, "tank/vm");
  EXPECT_EQ(content.begun_unix_s, 1700000000);
  EXPECT_EQ(as_text(content.notes.at(Note::kRun)), "run");
  EXPECT_EQ(content.first(), 1u);
  EXPECT_EQ(content.next(), 2u);
  EXPECT_EQ(as_text(content.state()), "state in pieces");
  ASSERT_EQ(content.blocks().size(), 1u);
  EXPECT_TRUE(content.blocks().at(1) == block_facts(1, 500));
  EXPECT_EQ(content.place_of(1).at, 664u);
  EXPECT_EQ(content.segments().at(4).check, check_of(4));
  EXPECT_EQ(content.segments().at(4).blocks, 1u);
  EXPECT_EQ(content.packed_bytes(), 500u);
}

TEST(RecordsTest, NoRecordIsSplitOverPages) {
  Pages pages;
  pages.begin(0, "");
  const Page value(kNoteBytesMax);
  for (int i = 0; i < 5; ++i) pages.note(Note::kRun, value);
  for (int i = 0; i < 5; ++i) pages.piece(Page(kPieceBytesMax));
  pages.checkpoint(0, 5 * kPieceBytesMax);
  pages.segment(1, {});
  constexpr std::uint64_t kBlocks = 10000;
  for (std::uint64_t number = 0; number < kBlocks; ++number) pages.block(block_facts(number, 1), {1, 64});
  pages.commit();
  const std::uint64_t bytes = pages.bytes();
  std::uint64_t sum = 0;
  SessionContent content;
  Replay replay(content);
  for (const Page& page : pages.take()) {
    ASSERT_LE(page.size(), kPageBytesMax);
    ASSERT_FALSE(replay.at_commit());
    ASSERT_TRUE(replay.apply(page));
    sum += page.size();
  }
  EXPECT_TRUE(replay.at_commit());
  EXPECT_EQ(sum, bytes);
  EXPECT_EQ(content.next(), kBlocks);
}

TEST(RecordsTest, CutPagesAreRefusedOrEndAtARecord) {
  const Page whole = sample_page();
  std::size_t refused = 0;
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    SessionContent content;
    Replay replay(content);
    refused += !replay.apply(ConstBytes(whole).first(bytes));
    EXPECT_FALSE(replay.at_commit());
  }
  EXPECT_EQ(refused, whole.size() - 12);  // records, and nothing at all
}

TEST(RecordsTest, AnyBytesAreSafe) {
  const Page whole = sample_page();
  SeededRandom random(4);
  std::size_t taken = 0;
  for (int round = 0; round < 200000; ++round) {
    Page page = whole;
    for (std::uint64_t i = random.below(4) + 1; i > 0; --i)
      page[random.below(page.size())] = static_cast<std::byte>(random.next());
    SessionContent content;
    Replay replay(content);
    taken += replay.apply(page).ok();
    for (const auto& [number, block] : content.blocks()) ASSERT_LE(block.packed_bytes, limits::kBlockBytesMax);
  }
  EXPECT_GT(taken, 1000u);
  EXPECT_LT(taken, 190000u);
}

TEST(RecordsTest, RulesThatAPageMayBreak) {
  const auto refused = [](auto fill) {
    Pages pages;
    pages.begin(0, "");
    pages.segment(1, {});
    pages.block(block_facts(5, 100), {1, 64});
    pages.piece(text("x"));
    pages.checkpoint(3, 1);
    fill(pages);
    SessionContent content;
    Replay replay(content);
    for (const Page& page : pages.take())
      if (!replay.apply(page)) return true;
    return false;
  };
  EXPECT_FALSE(refused([](Pages&) {}));
  EXPECT_TRUE(refused([](Pages& pages) { pages.begin(0, ""); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.segment(1, {}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.segment(0, {}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(5, 100), {1, 900}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(2, 100), {1, 900}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(6, 100), {2, 900}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(6, 100), {1, 63}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(6, 0), {1, 64}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(6, limits::kBlockBytesMax + 1), {1, 64}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(6, 100), {1, 0x80000000}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.block(block_facts(limits::kBlocksMax, 100), {1, 64}); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.checkpoint(2, 0); }));
  EXPECT_TRUE(refused([](Pages& pages) { pages.checkpoint(4, 1); }));
  EXPECT_TRUE(refused([](Pages& pages) {
    pages.piece(text("x"));
    pages.commit();
  }));
  EXPECT_TRUE(refused([](Pages& pages) {
    for (std::size_t bytes = 0; bytes <= kCheckpointBytesMax; bytes += kPieceBytesMax)
      pages.piece(Page(kPieceBytesMax));
  }));
}

TEST(FileNames, ThereAndBackAndNothingElse) {
  SeededRandom random(8);
  const StoreKeys keys(seal::SecretBytes::random(random), {}), others(seal::SecretBytes::random(random), {});
  for (int round = 0; round < 100; ++round) {
    SessionId id;
    random.fill(id);
    EXPECT_EQ(keys.session_of(keys.name_of(id)), id);
    EXPECT_NE(keys.name_of(id), to_hex(id));
    EXPECT_NE(keys.name_of(id), others.name_of(id));
    const auto journal = parse_name(keys, journal_name(keys, id));
    ASSERT_TRUE(journal);
    EXPECT_EQ(journal->kind, FileKind::kJournal);
    EXPECT_EQ(journal->session, id);
    const auto number = static_cast<std::uint32_t>(random.next());
    const std::string name = segment_name(keys, id, number);
    EXPECT_LE(name.size(), 100u);
    const auto segment = parse_name(keys, name);
    ASSERT_TRUE(segment);
    EXPECT_EQ(segment->kind, FileKind::kSegment);
    EXPECT_EQ(segment->session, id);
    EXPECT_EQ(segment->number, number);
    for (std::size_t bytes = 0; bytes < name.size(); ++bytes) EXPECT_FALSE(parse_name(keys, name.substr(0, bytes)));
    EXPECT_FALSE(parse_name(keys, name + "0"));
    EXPECT_FALSE(parse_name(keys, "new-" + name));
    EXPECT_TRUE(is_unfinished(new_journal_name(keys, id)));
  }
}

}  // namespace
}  // namespace zferry::store
