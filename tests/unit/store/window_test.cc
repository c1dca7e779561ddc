// The window as its callers see it: what was written is found, in the same session, after it, and after an opening.
#include "store/window.h"

#include "unit/store/window_setting.h"

namespace zferry::store {
namespace {

using WindowTest = WindowSetting;

TEST_F(WindowTest, ChunksAreFoundAtOnce) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  (*session)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < 40; ++number) {
    EXPECT_FALSE(find(number));
    ASSERT_TRUE(put_chunks(**session, number, 5000));
    EXPECT_TRUE(finds(number));
  }
  for (std::uint64_t number = 0; number < 40; ++number) EXPECT_TRUE(finds(number));
  const auto whole = find(3, 1);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->runs.size(), 10u);
  EXPECT_TRUE(reads(whole->place));
  EXPECT_FALSE(find(3, 2)) << "that one is not all here";
  EXPECT_FALSE(find(3, 1, 1)) << "another one";
  EXPECT_FALSE(find(3, 1, 0, 1)) << "another scope";
  EXPECT_FALSE(store_->find(scope_of(0), chunk_id(3, 0, 1), kChunkBytes + 1)) << "another length";
  for (int unit = 0; unit < 2; ++unit) EXPECT_TRUE(store_->find(scope_of(0), unit_id(3, 0, 2, unit), kUnitBytes));
  EXPECT_TRUE(store_->find(scope_of(0), unit_id(3, 0, 1, 4), kUnitBytes));
  EXPECT_FALSE(store_->find(scope_of(1), unit_id(3, 0, 1, 4), kUnitBytes));
  EXPECT_EQ(store_->window().chunks, 80u);
  EXPECT_EQ(store_->window().segments, 0u) << "the session has them";
}

TEST_F(WindowTest, WhatIsAppliedStays) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  (*session)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < 60; ++number) {
    ASSERT_TRUE(put_chunks(**session, number, 5000));
    if (number % 5 == 4) {
      ASSERT_TRUE((*session)->checkpoint(number, text("state")));
    }
  }
  for (std::uint64_t number = 0; number < 60; ++number) EXPECT_TRUE(finds(number));
  EXPECT_GE(store_->window().segments, 3u);
  session->reset();
  ASSERT_TRUE(store_->remove(session_id(1)));
  EXPECT_TRUE(store_->sessions().empty());
  for (std::uint64_t number = 0; number < 60; ++number) EXPECT_TRUE(finds(number));
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  EXPECT_EQ(store_->window().segments, names("segment-").size());
  EXPECT_EQ(names("segment-").size(), 5u) << "one is gone on with though all in it is applied";
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(open());
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    EXPECT_EQ(store_->window().chunks, 120u);
    for (std::uint64_t number = 0; number < 60; ++number) EXPECT_TRUE(finds(number));
    EXPECT_TRUE(store_->find(scope_of(0), unit_id(3, 0, 1, 4), kUnitBytes));
    EXPECT_TRUE(store_->find(scope_of(0), unit_id(3, 0, 2, 1), kUnitBytes));
    EXPECT_FALSE(find(3, 0, 0, 1));
  }
}

TEST_F(WindowTest, UnitsOfPartsAreFoundWithoutTheirSegmentInMemory) {
  segment_bytes_ = 4000;
  ASSERT_TRUE(open());
  whole_session(1, 0, 100, 3000);
  ASSERT_TRUE(open());
  EXPECT_GE(names("chunks-").size(), 50u);
  for (std::uint64_t number = 0; number < 100; ++number)
    EXPECT_TRUE(store_->find(scope_of(0), unit_id(number, 0, 2, 1), kUnitBytes));
  // Of wholes only with their neighbours.
  EXPECT_FALSE(store_->find(scope_of(0), unit_id(3, 0, 1, 4), kUnitBytes));
  EXPECT_TRUE(find(3));
  EXPECT_TRUE(store_->find(scope_of(0), unit_id(3, 0, 1, 4), kUnitBytes));
}

TEST_F(WindowTest, ASessionOfTheSameIdGoesOnInItsNumbers) {
  ASSERT_TRUE(open());
  for (std::uint64_t round = 0; round < 3; ++round) {
    whole_session(1, round * 20, round * 20 + 20, 5000);
    ASSERT_TRUE(open());
  }
  EXPECT_EQ(count_found(0, 60), 60u);
  EXPECT_EQ(names("segment-").size(), names("chunks-").size());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  ASSERT_TRUE(put(**session, 0, 1000));
  ASSERT_TRUE((*session)->commit());
  session->reset();
  ASSERT_TRUE(open());
  EXPECT_LT(store_->sessions().at(0).disk_bytes, 2000u) << "what was before it is not its own";
  ASSERT_TRUE(store_->resume(session_id(1)));
  EXPECT_EQ(count_found(0, 60), 60u);
  auto holdings = look(*folder_, key_);
  ASSERT_TRUE(holdings);
  EXPECT_EQ(holdings->used_bytes, disk_.used_bytes());
  EXPECT_EQ(holdings->window_segments, store_->window().segments);
  EXPECT_EQ(holdings->window_bytes, store_->window().bytes);
  EXPECT_LT(holdings->sessions.at(0).disk_bytes, 2000u);
  ASSERT_TRUE(store_->remove(session_id(1), false));
  EXPECT_EQ(count_found(0, 60), 60u);
}

TEST_F(WindowTest, ASessionThatIsGivenUpAltogetherLeavesNothing) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  (*session)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < 20; ++number) ASSERT_TRUE(put_chunks(**session, number, 5000));
  ASSERT_TRUE((*session)->commit());
  session->reset();
  ASSERT_TRUE(store_->remove(session_id(1), false));
  EXPECT_EQ(names("segment-").size() + names("chunks-").size(), 0u);
  EXPECT_EQ(count_found(0, 20), 0u);
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
}

TEST_F(WindowTest, WithoutAWindowOrAScopeNothingIsKept) {
  for (bool window : {true, false}) {
    window_ = window;
    disk_ = MemoryDisk();
    ASSERT_TRUE(open());
    auto session = store_->begin(session_id(1), "s");
    ASSERT_TRUE(session);
    if (!window) (*session)->set_scope(scope_of(0));
    for (std::uint64_t number = 0; number < 20; ++number) ASSERT_TRUE(put_chunks(**session, number, 5000));
    EXPECT_FALSE(find(3));
    ASSERT_TRUE((*session)->commit());
    EXPECT_TRUE(names("chunks-").empty());
    session->reset();
    ASSERT_TRUE(store_->remove(session_id(1)));
    EXPECT_TRUE(names("segment-").empty());
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  }
}

TEST_F(WindowTest, AnOpeningWithoutItKeepsItAndMayUseItsRoom) {
  ASSERT_TRUE(open());
  whole_session(1, 0, 60, 5000);
  window_ = false;
  ASSERT_TRUE(open());
  EXPECT_FALSE(find(3));
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  const std::size_t files = disk_.files.size();
  window_ = true;
  ASSERT_TRUE(open());
  EXPECT_EQ(disk_.files.size(), files);
  EXPECT_EQ(count_found(0, 60), 60u);
  window_ = false;
  capacity_bytes_ = 400 * limits::KiB;
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(2), "s");
  ASSERT_TRUE(session);
  std::uint64_t number = 0;
  while ((*session)->has_room(5000)) ASSERT_TRUE(put(**session, number++, 5000));
  EXPECT_GT(number, 30u);
  EXPECT_LT(names("chunks-").size(), 3u);
}

TEST_F(WindowTest, WhatIsForgottenIsNotFoundAgain) {
  ASSERT_TRUE(open());
  whole_session(1, 0, 60, 5000);
  const auto found = find(3);
  ASSERT_TRUE(found);
  store_->forget(found->place);
  EXPECT_FALSE(find(3));
  EXPECT_FALSE(find(3, 1));
  EXPECT_TRUE(finds(4));
  EXPECT_EQ(count_found(0, 60), 59u);
  BlockPlace wrong = found->place;
  wrong.check[3] ^= std::byte{1};
  wrong.at = find(4)->place.at;
  store_->forget(wrong);
  EXPECT_TRUE(finds(4));
}

TEST_F(WindowTest, KeysOfScopesAreFixedAndDiffer) {
  ASSERT_TRUE(open());
  const auto one = store_->chunk_key(scope_of(1)).copy(), two = store_->chunk_key(scope_of(2)).copy();
  EXPECT_NE(to_hex(one.bytes()), to_hex(two.bytes()));
  ASSERT_TRUE(open());
  EXPECT_EQ(to_hex(one.bytes()), to_hex(store_->chunk_key(scope_of(1)).bytes()));
  disk_ = MemoryDisk();
  ASSERT_TRUE(open());
  EXPECT_NE(to_hex(one.bytes()), to_hex(store_->chunk_key(scope_of(1)).bytes()));
}

TEST_F(WindowTest, WhatWasSavedIsRemembered) {
  ASSERT_TRUE(open());
  store_->add_savings({100, 70, 1});
  store_->add_savings({10, 7, 1});
  ASSERT_TRUE(open());
  EXPECT_EQ(store_->savings().looked_bytes, 110u);
  EXPECT_EQ(store_->savings().found_bytes, 77u);
  EXPECT_EQ(store_->savings().sessions, 2u);
  EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
  auto holdings = look(*folder_, key_);
  ASSERT_TRUE(holdings);
  EXPECT_EQ(holdings->savings.found_bytes, 77u);
}

TEST_F(WindowTest, VerifyReadsIt) {
  ASSERT_TRUE(open());
  whole_session(1, 0, 60, 5000);
  store_.reset();
  auto seen = verify(*folder_, key_);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->sessions, 0u);
  EXPECT_EQ(seen->window_blocks, 60u);
  EXPECT_EQ(seen->window_damaged, 0u);
  disk_.files.at(names("segment-")[0])->content[300] ^= std::byte{1};
  seen = verify(*folder_, key_);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->window_blocks, 59u);
  EXPECT_EQ(seen->window_damaged, 1u);
  EXPECT_TRUE(seen->damaged.empty());
}

// A session that goes on needs a part of its segment; what it has done with is there to be found, and pinned by others.
TEST_F(WindowTest, VerifyReadsWhatIsOnlyInPartASessions) {
  ASSERT_TRUE(open());
  auto first = store_->begin(session_id(1), "1");
  ASSERT_TRUE(first);
  (*first)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < 10; ++number) ASSERT_TRUE(put_chunks(**first, number, 5000));
  ASSERT_TRUE((*first)->checkpoint(6, text("state")));
  auto other = store_->begin(session_id(2), "2");
  ASSERT_TRUE(other);
  ASSERT_TRUE((*other)->pin(find(3)->place, 0));
  ASSERT_TRUE(put(**other, 0, 100));
  ASSERT_TRUE((*other)->commit());
  const BlockPlace place = find(3)->place, beside = find(4)->place;
  first->reset();
  other->reset();
  store_.reset();
  ASSERT_EQ(names("chunks-").size(), 1u);
  const auto third = [&](const BlockFacts& block, ConstBytes) -> Result<std::vector<BlockPlace>> {
    return block.number == 0 ? std::vector{place} : std::vector<BlockPlace>{};
  };
  auto seen = verify(*folder_, key_, third);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->sessions, 2u);
  EXPECT_EQ(seen->blocks, 5u);
  EXPECT_EQ(seen->shared_blocks, 1u);
  EXPECT_EQ(seen->window_blocks, 6u);
  EXPECT_TRUE(seen->damaged.empty());
  const std::string chunks = names("chunks-")[0];
  auto& segment = disk_.files.at("segment-" + chunks.substr(std::string("chunks-").size()))->content;
  segment[beside.at + 50] ^= std::byte{1};
  seen = verify(*folder_, key_, third);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->window_damaged, 1u);
  EXPECT_TRUE(seen->damaged.empty()) << "nobody's block is made of it";
  segment[place.at + 50] ^= std::byte{1};
  seen = verify(*folder_, key_, third);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->window_damaged, 2u);
  ASSERT_EQ(seen->damaged.size(), 1u);
  EXPECT_EQ(seen->damaged[0].first, session_id(2)) << "whose block is made of it";
  // Without the file of its chunks nothing is found there; who is made of it is looked at all the same.
  disk_.files.erase(chunks);
  seen = verify(*folder_, key_, third);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->window_blocks, 0u);
  EXPECT_EQ(seen->damaged.size(), 1u);
}

// As many chunks as are kept of a segment: those that come are found in the next one.
TEST_F(WindowTest, ASegmentOfManyChunksEndsEarly) {
  capacity_bytes_ = 1024 * limits::MiB;
  segment_bytes_ = 64 * limits::MiB;
  ASSERT_TRUE(open());
  constexpr std::uint64_t kBlocks = 200, kChunks = 200;
  const auto id = [](std::uint64_t number) { return chunk_id(number, 3, 0); };
  auto session = store_->begin(session_id(1), "1");
  ASSERT_TRUE(session);
  (*session)->set_scope(scope_of(0));
  for (std::uint64_t number = 0; number < kBlocks; ++number) {
    std::vector<ChunkFacts> chunks;
    for (std::uint64_t i = 0; i < kChunks; ++i) {
      const chunk::Id each = id(number * kChunks + i);
      chunks.push_back({each, {{chunk::sub_id(each), {{static_cast<std::uint32_t>(i * 10), 10}}}}});
    }
    ASSERT_TRUE((*session)->append(block_facts(number, 2000), block_bytes(number, 2000), chunks));
  }
  ASSERT_TRUE((*session)->commit());
  EXPECT_GE(names("segment-").size(), 2u);
  session->reset();
  ASSERT_TRUE(store_->remove(session_id(1)));
  for (int opening = 0; opening < 2; ++opening) {
    std::uint64_t found = 0;
    for (std::uint64_t number = 0; number < kBlocks * kChunks; ++number)
      found += store_->find(scope_of(0), id(number), 10).has_value();
    EXPECT_EQ(found, kBlocks * kChunks) << opening;
    EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
    ASSERT_TRUE(open());
  }
}

// An index that is full takes no further segment; what is in it stays.
TEST_F(WindowTest, AnIndexHasABound) {
  ASSERT_TRUE(open());
  const StoreKeys keys(key_, {});
  Window window(*folder_, keys);
  SegmentEntry one, two;
  ASSERT_TRUE(window.enroll(one, scope_of(0)));
  const auto chunks = chunks_of(1);
  EXPECT_TRUE(window.add(one, 0, block_facts(1, 5000), chunks));
  window.set_index_bytes_max(window.index_bytes());
  EXPECT_FALSE(window.enroll(two, scope_of(0)));
  EXPECT_EQ(two.handle, 0u);
  EXPECT_TRUE(window.find(scope_of(0), chunk_id(1, 0, 0), kChunkBytes));
}

// The file with the chunks cannot be written: all goes on, and less is found later.
TEST_F(WindowTest, ChunksThatCannotBeWrittenStopNobody) {
  for (const char* which : {"create chunks-", "append chunks-", "sync chunks-", "create new-window", "sync new-window",
                            "rename new-window"}) {
    for (Fault fault : {Fault::kStoreFull, Fault::kStoreFailed}) {
      disk_ = MemoryDisk();
      ASSERT_TRUE(open());
      disk_.fault = [&](std::uint64_t, const std::string& what) -> std::optional<Error> {
        if (!what.starts_with(which)) return {};
        return Error{fault, what, {}};
      };
      whole_session(1, 0, 60, 5000);
      store_.reset();
      disk_.fault = nullptr;
      ASSERT_TRUE(open());
      EXPECT_EQ(store_->used_bytes(), disk_.used_bytes());
      whole_session(2, 100, 120, 5000);
      EXPECT_EQ(count_found(100, 120), 20u);
    }
  }
}

}  // namespace
}  // namespace zferry::store
