// Segments that blocks of a session are made of stay as long as it needs them, whoever wrote them.
#include "store/records.h"
#include "unit/store/window_setting.h"

namespace zferry::store {
namespace {

class PinsTest : public WindowSetting {
 protected:
  PinsTest() { segment_bytes_ = 16 * limits::KiB; }

  // Everything goes that may: another session fills the store.
  void fill(int which = 9) {
    auto session = store_->begin(session_id(which), std::to_string(which));
    ASSERT_TRUE(session);
    for (std::uint64_t number = 1000; (*session)->has_room(5000); ++number) ASSERT_TRUE(put(**session, number, 5000));
    ASSERT_TRUE((*session)->commit());
    session->reset();
    ASSERT_TRUE(store_->remove(session_id(which)));
  }
  // A session that needs block 3 of another one for its block 5, committed.
  void pin_three() {
    ASSERT_TRUE(open());
    whole_session(1, 0, 20, 5000);
    auto session = store_->begin(session_id(2), "2");
    ASSERT_TRUE(session);
    place_ = find(3)->place;
    EXPECT_TRUE((*session)->pin(place_, 5));
    for (std::uint64_t number = 0; number < 8; ++number) ASSERT_TRUE(put(**session, number, 100));
    ASSERT_TRUE((*session)->commit());
    session_ = std::move(*session);
  }
  void TearDown() override { session_.reset(); }
  bool open_again() {
    session_.reset();
    return open().ok();
  }

  std::unique_ptr<Session> resumed() {
    auto session = store_->resume(session_id(2));
    EXPECT_TRUE(session);
    return std::move(*session);
  }

  BlockPlace place_;
  std::unique_ptr<Session> session_;
};

TEST_F(PinsTest, HoldAtOnceAndAfterOpenings) {
  capacity_bytes_ = 512 * limits::KiB;
  pin_three();
  for (int round = 0; round < 3; ++round) {
    fill();
    EXPECT_TRUE(reads(place_));
    EXPECT_EQ(names("segment-").size(), 2u);
    ASSERT_TRUE(open_again());
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    EXPECT_TRUE(reads(place_));
    if (round == 1) {
      auto session = store_->resume(session_id(2));
      ASSERT_TRUE(session);
      session_ = std::move(*session);
    }
  }
}

TEST_F(PinsTest, GoWithACheckpointBeyondThem) {
  capacity_bytes_ = 512 * limits::KiB;
  for (bool reopened : {false, true}) {
    disk_ = MemoryDisk();
    session_.reset();
    pin_three();
    ASSERT_TRUE(session_->checkpoint(5, {}));
    fill();
    EXPECT_TRUE(reads(place_));
    if (reopened) {
      ASSERT_TRUE(open_again());
      EXPECT_TRUE(reads(place_));
      session_ = resumed();
      ASSERT_TRUE(session_->checkpoint(7, {}));
      fill();
      EXPECT_TRUE(reads(place_)) << "nobody knows any more which block needs it";
    }
    ASSERT_TRUE(session_->checkpoint(8, {}));
    fill();
    EXPECT_FALSE(reads(place_));
    ASSERT_TRUE(open_again());
    EXPECT_FALSE(store_->sessions().at(0).damage);
  }
}

TEST_F(PinsTest, OfAHigherBlockHoldsOn) {
  capacity_bytes_ = 512 * limits::KiB;
  pin_three();
  EXPECT_TRUE(session_->pin(place_, 7));
  ASSERT_TRUE(session_->commit());
  ASSERT_TRUE(session_->checkpoint(7, {}));
  fill();
  EXPECT_TRUE(reads(place_));
  ASSERT_TRUE(open_again());
  EXPECT_FALSE(store_->sessions().at(0).damage);
  fill();
  EXPECT_TRUE(reads(place_));
}

TEST_F(PinsTest, GoWithTheirSession) {
  capacity_bytes_ = 512 * limits::KiB;
  pin_three();
  session_.reset();
  fill();
  EXPECT_TRUE(reads(place_));
  ASSERT_TRUE(store_->remove(session_id(2)));
  fill();
  EXPECT_FALSE(reads(place_));
  EXPECT_TRUE(names("segment-").empty());
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
}

TEST_F(PinsTest, OfTheSessionsOwnSegmentAndOfALivingOnes) {
  capacity_bytes_ = 1 * limits::MiB;
  ASSERT_TRUE(open());
  auto one = store_->begin(session_id(1), "1"), two = store_->begin(session_id(2), "2");
  ASSERT_TRUE(one && two);
  for (auto* session : {&*one, &*two}) (*session)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < 12; ++number) {
    ASSERT_TRUE(put_chunks(**one, number, 5000));
    ASSERT_TRUE(put_chunks(**two, number, 5000, 1));
  }
  const auto own = find(2)->place, others = find(2, 0, 1)->place;
  EXPECT_EQ(own.session, session_id(1));
  EXPECT_TRUE((*one)->pin(own, 11));
  EXPECT_TRUE((*one)->pin(others, 11));
  ASSERT_TRUE((*two)->commit());
  ASSERT_TRUE((*one)->checkpoint(11, {}));
  two->reset();
  ASSERT_TRUE(store_->remove(session_id(2), false));
  fill();
  EXPECT_TRUE(reads(own));
  EXPECT_TRUE(reads(others, 1));
  one->reset();
  ASSERT_TRUE(open());
  EXPECT_FALSE(store_->sessions().at(0).damage);
  EXPECT_TRUE(reads(own));
  EXPECT_TRUE(reads(others, 1));
}

// A stream that repeats itself is made of its own segments.
TEST_F(PinsTest, OfTheSessionsOwnSegmentGoWithIt) {
  for (bool keep : {true, false}) {
    disk_ = MemoryDisk();
    ASSERT_TRUE(open());
    auto session = store_->begin(session_id(1), "1");
    ASSERT_TRUE(session);
    (*session)->set_scope(scope_of(0));
    for (std::uint64_t number = 0; number < 12; ++number) ASSERT_TRUE(put_chunks(**session, number, 5000));
    EXPECT_TRUE((*session)->pin(find(2)->place, 12));
    ASSERT_TRUE((*session)->commit());
    session->reset();
    ASSERT_TRUE(store_->remove(session_id(1), keep));
    EXPECT_EQ(count_found(0, 12), keep ? 12u : 0u);
    EXPECT_EQ(names("segment-").empty(), !keep);
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  }
}

// The disk is full when a segment is written on of which nothing counts any more, and another session is made of it.
TEST_F(PinsTest, HoldASegmentThatCannotBeWrittenOn) {
  segment_bytes_ = 1 * limits::MiB;
  capacity_bytes_ = 64 * limits::MiB;
  ASSERT_TRUE(open());
  auto one = store_->begin(session_id(1), "1"), two = store_->begin(session_id(2), "2");
  ASSERT_TRUE(one && two);
  (*one)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < 5; ++number) ASSERT_TRUE(put_chunks(**one, number, 5000));
  ASSERT_TRUE((*one)->commit());
  const BlockPlace place = find(2)->place;
  EXPECT_TRUE((*two)->pin(place, 7));
  ASSERT_TRUE((*one)->checkpoint(5, block_bytes(1, 2 * limits::MiB)));
  disk_.log.clear();
  ASSERT_TRUE((*one)->checkpoint(5, text("short")));
  EXPECT_TRUE(std::ranges::any_of(disk_.log, [](const auto& each) { return each.find("new-") != std::string::npos; }))
      << "the journal was written anew";
  disk_.fault = [](std::uint64_t, const std::string& what) -> std::optional<Error> {
    if (!what.starts_with("append segment-")) return {};
    return Error{Fault::kStoreFull, what, {}};
  };
  const Status full = put(**one, 5, 5000);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().fault, Fault::kStoreFull);
  disk_.fault = nullptr;
  ASSERT_TRUE(put(**one, 5, 5000));
  ASSERT_TRUE((*one)->commit());
  EXPECT_TRUE(reads(place));
  one->reset();
  two->reset();
}

TEST_F(PinsTest, WhatIsGoneCannotBePinned) {
  capacity_bytes_ = 512 * limits::KiB;
  pin_three();
  BlockPlace gone = find(12)->place, other = place_;
  ASSERT_NE(gone.segment, place_.segment);
  other.check[0] ^= std::byte{1};
  fill();
  EXPECT_FALSE(session_->pin(gone, 7));
  EXPECT_FALSE(session_->pin(other, 7));
  EXPECT_TRUE(session_->pin(place_, 7));
}

TEST_F(PinsTest, WithoutAWindowTheyHoldToo) {
  capacity_bytes_ = 512 * limits::KiB;
  pin_three();
  window_ = false;
  ASSERT_TRUE(open_again());
  fill();
  EXPECT_TRUE(reads(place_));
  session_ = resumed();
  EXPECT_TRUE(reads(place_));
  ASSERT_TRUE(session_->checkpoint(8, {}));
  fill();
  EXPECT_FALSE(reads(place_));
}

TEST_F(PinsTest, OneThatIsMissingIsDamage) {
  pin_three();
  session_.reset();
  store_.reset();
  std::size_t told = 0;
  for (const std::string& each : names("segment-")) {
    const auto before = disk_.files;
    disk_.files.erase(each);
    ASSERT_TRUE(open());
    const auto damage = store_->sessions().at(0).damage;
    told += damage && damage->what.find(each) != std::string::npos;
    store_.reset();
    disk_.files = before;
  }
  EXPECT_EQ(told, 2u) << "its own, and what it has pinned";
}

// Only what is not yet on disk is synced, and before the journal.
TEST_F(PinsTest, WhatIsPinnedIsSyncedFirst) {
  ASSERT_TRUE(open());
  whole_session(1, 0, 20, 5000);
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(2), "2");
  ASSERT_TRUE(session);
  for (int round = 0; round < 2; ++round) {
    disk_.log.clear();
    EXPECT_TRUE((*session)->pin(find(3)->place, 5));
    EXPECT_TRUE((*session)->pin(find(round)->place, 5));
    ASSERT_TRUE(put(**session, static_cast<std::uint64_t>(round), 100));
    ASSERT_TRUE((*session)->commit());
    std::vector<std::string> syncs;
    for (const std::string& call : disk_.log)
      if (call.starts_with("sync")) syncs.push_back(call.substr(0, 14));
    EXPECT_EQ(std::ranges::count_if(syncs, [](const auto& call) { return call.starts_with("sync segment"); }),
              round == 0 ? 2 : 1);
    EXPECT_TRUE(syncs.back().starts_with(round == 0 ? "sync folder" : "sync new-journ"));
  }
}

TEST_F(PinsTest, ManyPinsKeepTheJournalWithinItsRoom) {
  capacity_bytes_ = 512 * limits::KiB;
  segment_bytes_ = 1000;
  ASSERT_TRUE(open());
  std::uint64_t most = 0;
  disk_.fault = [&](std::uint64_t, const std::string&) -> std::optional<Error> {
    most = std::max(most, disk_.used_bytes());
    return {};
  };
  whole_session(1, 0, 200, 900);
  auto session = store_->begin(session_id(2), "2");
  ASSERT_TRUE(session);
  std::uint64_t pinned = 0, number = 0;
  for (; number < 200; ++number) {
    if (const auto found = find(number)) pinned += (*session)->pin(found->place, number);
    Status status;
    if ((*session)->has_room(900)) status = put(**session, number, 900);
    if (status && number % 3 == 0) status = (*session)->commit();
    ASSERT_TRUE(status);
  }
  for (; (*session)->has_room(900); ++number) ASSERT_TRUE(put(**session, number, 900));
  ASSERT_TRUE((*session)->checkpoint(0, block_bytes(1, capacity_bytes_ / 8)));
  ASSERT_TRUE((*session)->checkpoint(0, block_bytes(1, capacity_bytes_ / 8)));
  EXPECT_GT(pinned, 50u);
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  session->reset();
  store_.reset();
  EXPECT_LE(most, capacity_bytes_);
}

}  // namespace
}  // namespace zferry::store
