// What tests of the window share: blocks with chunks whose ids follow from the block's number, and where they are
// found.
#pragma once

#include <algorithm>

#include "unit/store/store_setting.h"

namespace zferry::store {

inline constexpr std::uint32_t kChunkBytes = 1000, kUnitBytes = 200;
inline constexpr int kChunksABlock = 3;
using Runs = std::vector<Run>;  // a test has a Run of its own

inline Scope scope_of(int which) {
  Scope scope{};
  scope[5] = static_cast<std::byte>(which + 1);
  return scope;
}

inline chunk::Id chunk_id(std::uint64_t number, std::uint64_t edition, int which) {
  chunk::Id id;
  SeededRandom((number * 8 + edition) * 8 + static_cast<std::uint64_t>(which) + 77).fill(id);
  return id;
}
inline chunk::SubId unit_id(std::uint64_t number, std::uint64_t edition, int which, int unit) {
  chunk::SubId id = chunk::sub_id(chunk_id(number, edition, which));
  id[5] ^= static_cast<std::byte>(unit + 1);
  return id;
}

// 0: whole, of one unit. 1: whole, of five units of two runs each. 2: two units of one that is not all here.
inline std::vector<ChunkFacts> chunks_of(std::uint64_t number, std::uint64_t edition = 0) {
  std::vector<ChunkFacts> chunks(kChunksABlock);
  chunks[0].id = chunk_id(number, edition, 0);
  chunks[0].units.push_back({chunk::sub_id(*chunks[0].id), {{10, kChunkBytes}}});
  chunks[1].id = chunk_id(number, edition, 1);
  for (int unit = 0; unit < 5; ++unit) {
    const auto at = static_cast<std::uint32_t>(3000 - unit * 500);
    chunks[1].units.push_back({unit_id(number, edition, 1, unit), {{at, 150}, {at + 160, 50}}});
  }
  for (int unit = 0; unit < 2; ++unit)
    chunks[2].units.push_back(
        {unit_id(number, edition, 2, unit), {{static_cast<std::uint32_t>(3500 + unit * 250), kUnitBytes}}});
  return chunks;
}

inline Status put_chunks(Session& session, std::uint64_t number, std::size_t bytes, std::uint64_t edition = 0) {
  return session.append(block_facts(number, bytes), block_bytes(number, bytes, edition), chunks_of(number, edition));
}

class WindowSetting : public StoreSetting {
 protected:
  WindowSetting() { window_ = true; }

  std::optional<FoundRuns> find(std::uint64_t number, int which = 0, std::uint64_t edition = 0, int scope = 0) {
    return store_->find(scope_of(scope), chunk_id(number, edition, which), kChunkBytes);
  }
  // Found, with the bytes of that block behind it.
  ::testing::AssertionResult finds(std::uint64_t number, std::uint64_t edition = 0) {
    const auto found = find(number, 0, edition);
    if (!found) return ::testing::AssertionFailure() << "not found: " << number;
    if (found->place.block.number != number) return ::testing::AssertionFailure() << "in another block";
    if (found->runs != Runs{{10, kChunkBytes}}) return ::testing::AssertionFailure() << "other runs";
    return reads(found->place, edition);
  }
  ::testing::AssertionResult reads(const BlockPlace& place, std::uint64_t edition = 0) {
    std::vector<std::byte> packed(place.block.packed_bytes);
    if (Status status = store_->read(place, packed); !status)
      return ::testing::AssertionFailure() << status.error().what;
    if (packed != block_bytes(place.block.number, packed.size(), edition))
      return ::testing::AssertionFailure() << "other bytes";
    return ::testing::AssertionSuccess();
  }
  // A session from its beginning to its end, its blocks `from` to `to`.
  void whole_session(int which, std::uint64_t from, std::uint64_t to, std::size_t bytes) {
    auto session = store_->begin(session_id(which), std::to_string(which));
    ASSERT_TRUE(session);
    (*session)->set_scope(scope_of(0));
    for (std::uint64_t number = from; number < to; ++number) ASSERT_TRUE(put_chunks(**session, number, bytes));
    ASSERT_TRUE((*session)->commit());
    session->reset();
    ASSERT_TRUE(store_->remove(session_id(which)));
  }
  std::uint64_t count_found(std::uint64_t from, std::uint64_t to) {
    std::uint64_t count = 0;
    for (std::uint64_t number = from; number < to; ++number) count += find(number).has_value();
    return count;
  }
};

}  // namespace zferry::store
