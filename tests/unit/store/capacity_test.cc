// The capacity is never passed, whatever happens, and a full store can still commit and checkpoint.
#include "seal/lane_cipher.h"
#include "unit/store/store_setting.h"

namespace zferry::store {
namespace {

class CapacityTest : public StoreSetting {
 protected:
  CapacityTest() {
    capacity_bytes_ = 2 * limits::MiB;
    segment_bytes_ = 64 * limits::KiB;
    watch();
  }
  // Looks at the disk before each call.
  void watch() {
    disk_.fault = [this](std::uint64_t, const std::string&) -> std::optional<Error> {
      most_bytes_ = std::max(most_bytes_, disk_.used_bytes());
      return {};
    };
  }
  std::uint64_t most_bytes_ = 0;
};

TEST_F(CapacityTest, AFullStoreCommitsAndCheckpoints) {
  const auto state = block_bytes(1, capacity_bytes_ / 8);
  for (std::size_t bytes : {100, 4000, 60000}) {
    disk_ = MemoryDisk();
    watch();
    ASSERT_TRUE(open());
    auto session = store_->begin(session_id(1), "s");
    ASSERT_TRUE(session);
    std::uint64_t next = 0, full = 0;
    for (int round = 0; round < 12; ++round) {
      while ((*session)->has_room(bytes)) ASSERT_TRUE(put(**session, next++, bytes));
      const std::size_t calls = disk_.calls, blocks = (*session)->blocks().size();
      const Status status = put(**session, next, bytes);
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().fault, Fault::kStoreFull);
      EXPECT_EQ(disk_.calls, calls);
      EXPECT_EQ((*session)->blocks().size(), blocks);
      ++full;
      (*session)->set_note(Note::kRun, state.empty() ? ConstBytes() : ConstBytes(state).first(100));
      ASSERT_TRUE((*session)->commit());
      // Nothing is applied yet, and the longest state comes more than once.
      ASSERT_TRUE((*session)->checkpoint((*session)->first_number(), state));
      ASSERT_TRUE((*session)->checkpoint((*session)->first_number(), state));
      ASSERT_TRUE((*session)->checkpoint(next - (next - (*session)->first_number()) / 2, state));
      EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    }
    EXPECT_EQ(full, 12u);
    EXPECT_GT(next * bytes, capacity_bytes_);
    session->reset();
    store_.reset();
    EXPECT_LE(most_bytes_, capacity_bytes_);
    EXPECT_GT(most_bytes_, capacity_bytes_ / 2);
    most_bytes_ = 0;
  }
}

TEST_F(CapacityTest, AStreamOfAnyLengthStaysBounded) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  std::uint64_t most_journal = 0;
  for (std::uint64_t number = 0; number < 20000; ++number) {
    ASSERT_TRUE(put(**session, number, 2000));
    Status status;
    if (number % 4 == 3) status = (*session)->commit();
    if (status && number % 20 == 19) status = (*session)->checkpoint(number - 10, block_bytes(number, 3000));
    ASSERT_TRUE(status);
    for (const auto& [name, file] : disk_.files)
      if (name.starts_with("journal-")) most_journal = std::max<std::uint64_t>(most_journal, file->content.size());
  }
  EXPECT_LE(most_bytes_, capacity_bytes_);
  EXPECT_LE(most_journal, 1200u * limits::KiB);
  EXPECT_LE(names("segment-").size(), 4u);
  session->reset();
  ASSERT_TRUE(open());
  session = store_->resume(session_id(1));
  ASSERT_TRUE(session);
  EXPECT_EQ((*session)->blocks().size(), 11u);
  for (const auto& [number, block] : (*session)->blocks()) EXPECT_TRUE(gives_back(**session, number));
}

TEST_F(CapacityTest, TwoSessionsShareIt) {
  ASSERT_TRUE(open());
  auto first = store_->begin(session_id(1), "a"), second = store_->begin(session_id(2), "b");
  ASSERT_TRUE(first && second);
  std::uint64_t number = 0;
  for (; (*first)->has_room(5000); ++number) ASSERT_TRUE(put(number % 2 == 0 ? **first : **second, number, 5000));
  EXPECT_FALSE((*second)->has_room(5000));
  const auto state = block_bytes(1, capacity_bytes_ / 8);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE((*first)->checkpoint(0, state));
    ASSERT_TRUE((*second)->checkpoint(0, state));
  }
  EXPECT_LE(most_bytes_, capacity_bytes_);
  EXPECT_GT(number, 50u);
}

TEST_F(CapacityTest, OthersOnTheDiskKeepTheirPart) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  ASSERT_TRUE(put(**session, 0, 5000));
  disk_.free_bytes = limits::kStoreReserveBytes + 5000;  // the tag does not fit
  EXPECT_FALSE((*session)->has_room(5000));
  const Status status = put(**session, 1, 5000);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().fault, Fault::kStoreFull);
  ASSERT_TRUE((*session)->commit());
  disk_.free_bytes += seal::kTagBytes;
  EXPECT_TRUE(put(**session, 1, 5000));
  ASSERT_TRUE((*session)->commit());
}

// A smaller capacity than what is there already: nothing more is taken, what is there goes on.
TEST_F(CapacityTest, ItMayHaveBecomeLess) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  for (std::uint64_t number = 0; number < 100; ++number) ASSERT_TRUE(put(**session, number, 10000));
  ASSERT_TRUE((*session)->commit());
  session->reset();
  capacity_bytes_ = 512 * limits::KiB;
  ASSERT_TRUE(open());
  session = store_->resume(session_id(1));
  ASSERT_TRUE(session);
  EXPECT_FALSE((*session)->has_room(1));
  (*session)->set_note(Note::kRun, text("x"));
  ASSERT_TRUE((*session)->commit());
  ASSERT_TRUE((*session)->checkpoint(90, text("state")));
  EXPECT_TRUE((*session)->has_room(10000));
}

TEST_F(CapacityTest, LittleIsWrittenBesideTheBlocks) {
  capacity_bytes_ = 256 * limits::MiB;
  segment_bytes_ = limits::kSegmentBytes;
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  constexpr std::uint64_t kBlocks = 100;
  for (std::uint64_t number = 0; number < kBlocks; ++number) {
    ASSERT_TRUE(put(**session, number, limits::kBlockBytesMax));
    ASSERT_TRUE((*session)->commit());
  }
  EXPECT_LE(disk_.used_bytes(), kBlocks * limits::kBlockBytesMax * 10001 / 10000);
}

}  // namespace
}  // namespace zferry::store
