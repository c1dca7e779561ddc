// The store as its callers see it: blocks in and out, over commits, checkpoints, openings and removals.
#include "store/store.h"

#include "unit/store/store_setting.h"

namespace zferry::store {
namespace {

using StoreTest = StoreSetting;

TEST_F(StoreTest, GivesBackWhatItWasGiven) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "tank/vm@monday");
  ASSERT_TRUE(session);
  for (std::uint64_t number : {3, 0, 1, 7, 2}) ASSERT_TRUE(put(**session, number, 20000 + number));
  EXPECT_EQ((*session)->blocks().size(), 5u);
  for (std::uint64_t number : {0, 1, 2, 3, 7}) EXPECT_TRUE(gives_back(**session, number));
  ASSERT_TRUE((*session)->commit());
  for (std::uint64_t number : {0, 1, 2, 3, 7}) EXPECT_TRUE(gives_back(**session, number));
  const auto all = store_->sessions();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].next_number, 4u);
  EXPECT_EQ(all[0].blocks, 5u);
  EXPECT_EQ(all[0].packed_bytes, 5 * 20000u + 13);
  EXPECT_GT(all[0].disk_bytes, all[0].packed_bytes);
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
}

TEST_F(StoreTest, CommittedBlocksAreThereAfterReopening) {
  ASSERT_TRUE(open());
  {
    auto session = store_->begin(session_id(1), "tank/vm@monday");
    ASSERT_TRUE(session);
    for (std::uint64_t number = 0; number < 20; ++number) ASSERT_TRUE(put(**session, number, 10000));
    (*session)->set_note(Note::kSession, text("who"));
    (*session)->set_note(Note::kRun, text("first"));
    (*session)->set_note(Note::kRun, text("second"));
    ASSERT_TRUE((*session)->commit());
    ASSERT_TRUE(put(**session, 20, 10000));
    (*session)->set_note(Note::kRun, text("third"));
  }
  ASSERT_TRUE(open());
  auto all = store_->sessions();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].id, session_id(1));
  EXPECT_EQ(all[0].label, "tank/vm@monday");
  EXPECT_EQ(all[0].begun_unix_s, 1700000000);
  EXPECT_EQ(all[0].next_number, 20u);
  EXPECT_FALSE(all[0].damage);
  auto session = store_->resume(session_id(1));
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->blocks().size(), 20u);
  for (std::uint64_t number = 0; number < 20; ++number) EXPECT_TRUE(gives_back(**session, number));
  EXPECT_EQ(as_text(*(*session)->note(Note::kSession)), "who");
  EXPECT_EQ(as_text(*(*session)->note(Note::kRun)), "second");
  EXPECT_FALSE((*session)->note(Note::kFinal));
}

TEST_F(StoreTest, GoesOnAfterReopeningInNewFiles) {
  for (std::uint64_t round = 0; round < 4; ++round) {
    const auto before = disk_.files;
    std::map<std::string, std::size_t> lengths;
    for (const auto& [name, file] : before) lengths[name] = file->content.size();
    ASSERT_TRUE(open());
    auto session = round == 0 ? store_->begin(session_id(1), "s") : store_->resume(session_id(1));
    ASSERT_TRUE(session);
    for (std::uint64_t number = round * 5; number < round * 5 + 5; ++number) ASSERT_TRUE(put(**session, number, 5000));
    ASSERT_TRUE((*session)->commit());
    for (std::uint64_t number = 0; number < round * 5 + 5; ++number) EXPECT_TRUE(gives_back(**session, number));
    // No file that was there has grown.
    for (const auto& [name, file] : before) EXPECT_EQ(file->content.size(), lengths[name]) << name;
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    session->reset();
  }
  EXPECT_EQ(names("segment-").size(), 4u);
  EXPECT_EQ(names("journal-").size(), 1u);
}

TEST_F(StoreTest, ASessionThatWasNeverCommittedIsNone) {
  ASSERT_TRUE(open());
  {
    auto session = store_->begin(session_id(1), "s");
    ASSERT_TRUE(session);
    ASSERT_TRUE(put(**session, 0, 5000));
    EXPECT_EQ(store_->sessions().size(), 1u);
  }
  EXPECT_TRUE(store_->sessions().empty());
  EXPECT_EQ(disk_.files.size(), 1u);  // "format"
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
}

TEST_F(StoreTest, CheckpointsFreeWhatIsApplied) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  EXPECT_TRUE((*session)->checkpoint_state().empty());
  for (std::uint64_t number = 0; number < 40; ++number) ASSERT_TRUE(put(**session, number, 10000));
  ASSERT_TRUE((*session)->commit());
  const std::size_t before = names("segment-").size();
  ASSERT_TRUE((*session)->checkpoint(30, text("state at 30")));
  EXPECT_LT(names("segment-").size(), before / 2);
  EXPECT_EQ((*session)->first_number(), 30u);
  EXPECT_EQ((*session)->blocks().size(), 10u);
  ASSERT_TRUE(put(**session, 5, 10000));  // applied: passed over
  EXPECT_EQ((*session)->blocks().size(), 10u);
  session->reset();
  ASSERT_TRUE(open());
  session = store_->resume(session_id(1));
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->first_number(), 30u);
  EXPECT_EQ(as_text((*session)->checkpoint_state()), "state at 30");
  for (std::uint64_t number = 30; number < 40; ++number) EXPECT_TRUE(gives_back(**session, number));
  ASSERT_TRUE((*session)->checkpoint(40, {}));
  EXPECT_TRUE(names("segment-").empty());
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
}

TEST_F(StoreTest, TruncatedBlocksMayComeAnewAndDiffer) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  for (std::uint64_t number = 0; number < 10; ++number) ASSERT_TRUE(put(**session, number, 10000));
  ASSERT_TRUE((*session)->commit());
  (*session)->truncate(4);
  EXPECT_EQ((*session)->blocks().size(), 4u);
  for (std::uint64_t number = 4; number < 8; ++number) ASSERT_TRUE(put(**session, number, 12000, 1));
  ASSERT_TRUE((*session)->commit());
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ((*session)->blocks().size(), 8u);
    for (std::uint64_t number = 0; number < 8; ++number) EXPECT_TRUE(gives_back(**session, number, number < 4 ? 0 : 1));
    session->reset();
    ASSERT_TRUE(open());
    EXPECT_EQ(store_->sessions()[0].next_number, 8u);
    session = store_->resume(session_id(1));
    ASSERT_TRUE(session);
  }
}

TEST_F(StoreTest, SessionsStandApart) {
  ASSERT_TRUE(open());
  {
    auto first = store_->begin(session_id(1), "one"), second = store_->begin(session_id(2), "two");
    ASSERT_TRUE(first && second);
    for (std::uint64_t number = 0; number < 10; ++number) {
      ASSERT_TRUE(put(**first, number, 5000));
      ASSERT_TRUE(put(**second, number, 7000, 2));
    }
    ASSERT_TRUE((*first)->commit());
    ASSERT_TRUE((*second)->commit());
  }
  ASSERT_TRUE(store_->remove(session_id(1)));
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  ASSERT_TRUE(open());
  ASSERT_EQ(store_->sessions().size(), 1u);
  auto second = store_->resume(session_id(2));
  ASSERT_TRUE(second);
  for (std::uint64_t number = 0; number < 10; ++number) EXPECT_TRUE(gives_back(**second, number, 2));
  second->reset();
  ASSERT_TRUE(store_->remove(session_id(2)));
  EXPECT_EQ(disk_.files.size(), 1u);
}

TEST_F(StoreTest, TheLongestCheckpointComesBack) {
  capacity_bytes_ = limits::kCapacityMin * 2;
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  const auto state = block_bytes(5, kCheckpointBytesMax);
  ASSERT_TRUE((*session)->checkpoint(0, state));
  ASSERT_TRUE((*session)->checkpoint(0, state));
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  session->reset();
  ASSERT_TRUE(open());
  session = store_->resume(session_id(1));
  ASSERT_TRUE(session);
  EXPECT_TRUE((*session)->checkpoint_state() == state);
}

TEST_F(StoreTest, VerifyReadsEverything) {
  ASSERT_TRUE(open());
  for (int which = 1; which <= 3; ++which) {
    auto session = store_->begin(session_id(which), "s");
    ASSERT_TRUE(session);
    for (std::uint64_t number = 0; number < 10; ++number) ASSERT_TRUE(put(**session, number, 5000));
    ASSERT_TRUE((*session)->commit());
  }
  store_.reset();
  auto seen = verify(*folder_, key_);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->sessions, 3u);
  EXPECT_EQ(seen->blocks, 30u);
  EXPECT_EQ(seen->packed_bytes, 150000u);
  EXPECT_TRUE(seen->damaged.empty());
}

}  // namespace
}  // namespace zferry::store
