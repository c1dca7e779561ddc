// A store with a window is mostly full: what goes first, and what never.
#include "seal/lane_cipher.h"
#include "unit/store/window_setting.h"

namespace zferry::store {
namespace {

class WindowCapacityTest : public WindowSetting {
 protected:
  WindowCapacityTest() {
    capacity_bytes_ = 1 * limits::MiB;
    segment_bytes_ = 32 * limits::KiB;
    watch();
  }
  ~WindowCapacityTest() override { store_.reset(); }  // it writes once more, and is watched
  // Looks at the disk before each call.
  void watch() {
    disk_.fault = [this](std::uint64_t, const std::string&) -> std::optional<Error> {
      most_bytes_ = std::max(most_bytes_, disk_.used_bytes());
      return {};
    };
  }
  std::uint64_t most_bytes_ = 0;
};

TEST_F(WindowCapacityTest, TheOldestGoesFirstAndWhatWasFoundStays) {
  ASSERT_TRUE(open());
  for (int session = 0; session < 4; ++session)
    whole_session(session, static_cast<std::uint64_t>(session) * 50, static_cast<std::uint64_t>(session) * 50 + 40,
                  4000);
  EXPECT_EQ(count_found(0, 200), 160u);
  // These are of use again, in a session of their own.
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(10), "10");
  ASSERT_TRUE(session);
  EXPECT_EQ(count_found(50, 90), 40u);
  session->reset();
  ASSERT_TRUE(open());
  whole_session(11, 300, 400, 4000);
  const WindowFacts facts = store_->window();
  EXPECT_GT(facts.bytes, capacity_bytes_ / 2);
  ASSERT_TRUE(open());
  EXPECT_EQ(count_found(0, 40), 0u);
  EXPECT_EQ(count_found(50, 90), 40u);
  EXPECT_EQ(count_found(300, 400), 100u);
  EXPECT_LE(most_bytes_, capacity_bytes_);
}

// A stream that is longer than the store goes through it: what came first in it stays.
TEST_F(WindowCapacityTest, ItTakesNoMoreRatherThanToCycle) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  (*session)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < 2000; ++number) {
    ASSERT_TRUE(put_chunks(**session, number, 4000));
    Status status;
    if (number % 10 == 9) status = (*session)->checkpoint(number - 5, text("state"));
    ASSERT_TRUE(status);
  }
  const std::uint64_t first = count_found(0, 150);
  EXPECT_EQ(first, 150u);
  EXPECT_LT(count_found(0, 2000), 250u);
  session->reset();
  ASSERT_TRUE(store_->remove(session_id(1)));
  EXPECT_GT(store_->window().bytes, capacity_bytes_ / 2);
  // The next stream takes the place of it.
  whole_session(2, 5000, 5020, 4000);
  whole_session(3, 5020, 5040, 4000);
  EXPECT_EQ(count_found(5000, 5040), 40u);
  EXPECT_LE(most_bytes_, capacity_bytes_);
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
}

// Blocks that come have the room of all that is kept, to the last of it; and no more than before is refused.
TEST_F(WindowCapacityTest, SessionsHaveAllOfIt) {
  std::uint64_t without = 0;
  for (bool full : {false, true}) {
    disk_ = MemoryDisk();
    watch();
    ASSERT_TRUE(open());
    if (full)
      for (int which = 2; which < 6; ++which)
        whole_session(which, static_cast<std::uint64_t>(which) * 100, static_cast<std::uint64_t>(which) * 100 + 60,
                      4000);
    auto session = store_->begin(session_id(1), "s");
    ASSERT_TRUE(session);
    (*session)->set_scope(scope_of(0));
    std::uint64_t number = 0;
    for (; (*session)->has_room(4000); ++number) ASSERT_TRUE(put_chunks(**session, number, 4000));
    if (!full) without = number;
    EXPECT_NEAR(static_cast<double>(number), static_cast<double>(without), 2);
    EXPECT_EQ(store_->window().segments, 0u);
    const Status status = put_chunks(**session, number, 4000);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().fault, Fault::kStoreFull);
    const auto state = block_bytes(1, capacity_bytes_ / 8);
    for (int round = 0; round < 3; ++round) ASSERT_TRUE((*session)->checkpoint(0, state));
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    session->reset();
    store_.reset();
    EXPECT_LE(most_bytes_, capacity_bytes_);
  }
}

TEST_F(WindowCapacityTest, AFullStoreCommitsAndCheckpoints) {
  const auto state = block_bytes(1, capacity_bytes_ / 8);
  for (std::size_t bytes : {300, 4000, 60000}) {
    disk_ = MemoryDisk();
    watch();
    ASSERT_TRUE(open());
    auto session = store_->begin(session_id(1), "s");
    ASSERT_TRUE(session);
    (*session)->set_scope(scope_of(0));
    std::uint64_t next = 0;
    for (int round = 0; round < 12; ++round) {
      const std::uint64_t before = next;
      while ((*session)->has_room(bytes)) ASSERT_TRUE(put_chunks(**session, next++, bytes));
      ASSERT_GT(next, before);
      ASSERT_FALSE(put_chunks(**session, next, bytes));
      ASSERT_TRUE((*session)->commit());
      ASSERT_TRUE((*session)->checkpoint((*session)->first_number(), state));
      ASSERT_TRUE((*session)->checkpoint(next - (next - (*session)->first_number()) / 2, state));
      EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
      if (round == 6) {
        ASSERT_TRUE((*session)->checkpoint(next, state));
      }
    }
    session->reset();
    ASSERT_TRUE(store_->remove(session_id(1)));
    store_.reset();
    EXPECT_LE(most_bytes_, capacity_bytes_);
    most_bytes_ = 0;
  }
}

TEST_F(WindowCapacityTest, TheDiskMayHaveLess) {
  capacity_bytes_ = 64 * limits::MiB;
  ASSERT_TRUE(open());
  whole_session(1, 0, 60, 4000);
  auto session = store_->begin(session_id(2), "s");
  ASSERT_TRUE(session);
  const std::uint64_t kept = store_->window().bytes;
  disk_.free_bytes = limits::kStoreReserveBytes + 3000;
  EXPECT_TRUE((*session)->has_room(4000));
  ASSERT_TRUE(put(**session, 0, 4000));
  EXPECT_LT(store_->window().bytes, kept);
  EXPECT_GT(store_->window().bytes, kept / 2);
}

// It may have become less than what is kept.
TEST_F(WindowCapacityTest, AnOpeningWithLessRoom) {
  ASSERT_TRUE(open());
  whole_session(1, 0, 150, 4000);
  capacity_bytes_ = 256 * limits::KiB;
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(2), "s");
  ASSERT_TRUE(session);
  ASSERT_TRUE(put(**session, 0, 4000));
  ASSERT_TRUE((*session)->commit());
  EXPECT_LE(store_->used_bytes(), capacity_bytes_);
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
}

}  // namespace
}  // namespace zferry::store
