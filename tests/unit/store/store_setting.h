// What tests of the store share: a store on a disk in memory, blocks whose bytes follow from their number, and ids.
#pragma once

#include <gtest/gtest.h>

#include "base/random.h"
#include "store/store.h"
#include "unit/store/memory_folder.h"

namespace zferry::store {

inline SessionId session_id(int which) {
  SessionId id{};
  id[0] = static_cast<std::byte>(which);
  id[31] = std::byte{7};
  return id;
}

inline std::vector<std::byte> block_bytes(std::uint64_t number, std::size_t bytes, std::uint64_t edition = 0) {
  std::vector<std::byte> packed(bytes);
  SeededRandom(number * 1000 + edition).fill(packed);
  return packed;
}

inline BlockFacts block_facts(std::uint64_t number, std::size_t bytes) {
  return {number, number * 4096, 4096, static_cast<std::uint32_t>(bytes), static_cast<std::uint8_t>(number % 2)};
}

inline Status put(Session& session, std::uint64_t number, std::size_t bytes, std::uint64_t edition = 0) {
  return session.append(block_facts(number, bytes), block_bytes(number, bytes, edition));
}

// Whether the session gives back what put() put there.
inline ::testing::AssertionResult gives_back(Session& session, std::uint64_t number, std::uint64_t edition = 0) {
  const auto found = session.blocks().find(number);
  if (found == session.blocks().end()) return ::testing::AssertionFailure() << "no block " << number;
  std::vector<std::byte> packed(found->second.packed_bytes);
  if (Status status = session.read(number, packed); !status)
    return ::testing::AssertionFailure() << status.error().what;
  if (!(found->second == block_facts(number, packed.size()))) return ::testing::AssertionFailure() << "other facts";
  if (packed != block_bytes(number, packed.size(), edition)) return ::testing::AssertionFailure() << "other bytes";
  return ::testing::AssertionSuccess();
}

inline ConstBytes text(std::string_view words) { return as_bytes(words); }

class StoreSetting : public ::testing::Test {
 protected:
  StoreSetting() { random_.fill(key_.writable()); }

  StoreSettings settings() const {
    StoreSettings settings;
    settings.capacity_bytes = capacity_bytes_;
    settings.segment_bytes = segment_bytes_;
    settings.unix_now_s = [] { return std::int64_t{1700000000}; };
    settings.window = window_;
    return settings;
  }
  // In place of the one before, if there was one.
  Result<Store*> open() {
    store_.reset();
    folder_ = std::make_unique<MemoryFolder>(disk_);
    auto store = Store::open(*folder_, key_, settings(), random_);
    if (!store) return store.take_error();
    store_ = std::move(*store);
    return store_.get();
  }
  std::vector<std::string> names(std::string_view prefix) const {
    std::vector<std::string> found;
    for (const auto& [name, file] : disk_.files)
      if (name.starts_with(prefix)) found.push_back(name);
    return found;
  }

  std::uint64_t capacity_bytes_ = 64 * limits::MiB;
  std::uint64_t segment_bytes_ = 64 * limits::KiB;
  bool window_ = false;
  MemoryDisk disk_;
  SeededRandom random_{11};
  seal::SecretBytes key_;
  std::unique_ptr<MemoryFolder> folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace zferry::store
