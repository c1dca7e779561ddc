// The key of a host's stores: made once, found again after a crash, never made anew over one that is damaged.
#include "pipeline/store_key.h"

#include <gtest/gtest.h>

#include "io/sim_world.h"

namespace zferry::pipeline {
namespace {

constexpr char kName[] = "store-key";
constexpr std::size_t kRecordBytes = 8 + 32 + 16;

struct Keeper {
  io::SimWorld world{1};
  io::SimHost& host = world.add_host("host");
  SeededRandom random;

  explicit Keeper(std::uint64_t seed = 1) : random(seed) { EXPECT_TRUE(state().prepare()); }
  io::StateFolder& state() { return host.files().state(); }
  std::vector<std::byte>& record() { return host.disk().records[kName]; }
  std::string key() {
    const Result<seal::SecretBytes> key = store_key(state(), random);
    return key ? to_hex(key->bytes()) : "";
  }
  Fault fault() {
    const Result<seal::SecretBytes> key = store_key(state(), random);
    return key ? Fault::kNone : key.error().fault;
  }
};

TEST(StoreKey, IsMadeOnceAndSurvivesACrash) {
  Keeper keeper, other(2);
  const std::string key = keeper.key();
  ASSERT_EQ(key.size(), 64u);
  EXPECT_EQ(keeper.record().size(), kRecordBytes);
  EXPECT_NE(to_hex(keeper.record()).find(key), std::string::npos);
  EXPECT_EQ(keeper.key(), key);
  keeper.host.crash();
  keeper.host.restart();
  EXPECT_EQ(keeper.key(), key);
  EXPECT_EQ(keeper.host.disk().saves, 1u);
  EXPECT_NE(other.key(), key);
}

TEST(StoreKey, ACrashWhileItIsMadeLeavesNoneOrThisOne) {
  for (const bool after : {false, true}) {
    Keeper keeper;
    (after ? keeper.host.disk().after_save : keeper.host.disk().before_save) = [&](const std::string& name) {
      EXPECT_EQ(name, kName);
      keeper.host.crash();
    };
    EXPECT_EQ(keeper.fault(), Fault::kStateFailed);
    keeper.host.disk().before_save = keeper.host.disk().after_save = nullptr;
    EXPECT_EQ(keeper.host.disk().records.contains(kName), after);
    keeper.host.restart();
    const std::string key = keeper.key();
    EXPECT_EQ(key.size(), 64u);
    EXPECT_EQ(keeper.key(), key);
    EXPECT_EQ(keeper.host.disk().saves, after ? 1u : 2u);
  }
}

TEST(StoreKey, DamageIsNoticedAndNothingIsMadeInItsPlace) {
  Keeper keeper;
  ASSERT_FALSE(keeper.key().empty());
  const std::vector<std::byte> good = keeper.record();
  std::size_t refused = 0;
  auto refuse = [&](const std::vector<std::byte>& record) {
    keeper.record() = record;
    ASSERT_EQ(keeper.fault(), Fault::kStateFailed);
    ASSERT_EQ(keeper.record(), record);
    ++refused;
  };
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::vector<std::byte> bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    refuse(bad);
  }
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes)
    refuse({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(bytes)});
  std::vector<std::byte> longer = good;
  longer.push_back(std::byte{0});
  refuse(longer);
  EXPECT_EQ(refused, 9 * kRecordBytes + 1);
  EXPECT_EQ(keeper.host.disk().saves, 1u);
  const Result<seal::SecretBytes> key = store_key(keeper.state(), keeper.random);
  ASSERT_FALSE(key);
  EXPECT_NE(key.error().next.find(kName), std::string::npos);
}

TEST(StoreKey, AStateFolderThatFailsGivesNoKey) {
  Keeper keeper;
  keeper.host.disk().save_fails_at = 1;
  EXPECT_EQ(keeper.fault(), Fault::kStateFailed) << "one that is kept nowhere is no key";
  keeper.host.disk().load_fails = true;
  EXPECT_EQ(keeper.fault(), Fault::kStateFailed);
  EXPECT_EQ(keeper.host.disk().saves, 1u) << "what cannot be read may be there: none is made over it";
  keeper.host.disk().load_fails = false;
  const std::string key = keeper.key();
  EXPECT_EQ(key.size(), 64u);
  keeper.host.disk().load_fails = true;
  EXPECT_EQ(keeper.fault(), Fault::kStateFailed);
}

}  // namespace
}  // namespace zferry::pipeline
