// recv --store FOLDER[:CAPACITY] and what goes with it; whose stream store import takes.
#include "store_options.h"

#include "keys.h"
#include "unit/cli/folder.h"

namespace zferry::cli {
namespace {

using zferry::testing::Folder;

class StoreOptionsTest : public ::testing::Test {
 protected:
  StoreOptionsTest() { folder_.write("secret", secret_line(generate_key()) + "\n"); }
  TransferOptions with(const std::string& store) const {
    TransferOptions options;
    options.listen = ":9443";
    options.secret_file = folder_.path("secret");
    options.store = store;
    return options;
  }

  Folder folder_;
};

TEST_F(StoreOptionsTest, FolderAndCapacity) {
  const std::string here = std::filesystem::current_path().string();
  struct Case {
    std::string text, folder;
    std::uint64_t capacity_bytes;
  };
  const Case cases[] = {{"/var/store", "/var/store", 0},
                        {"/var/store:200G", "/var/store", 200'000'000'000},
                        {"/var/store:64Mi", "/var/store", 64 * limits::MiB},
                        {"/var/store:67108864", "/var/store", 64 * limits::MiB},
                        {"store", here + "/store", 0},
                        {"./a/../store:1G", here + "/store", 1'000'000'000},
                        {"/disk:1/store", "/disk:1/store", 0},
                        {"/disk:1/store:1G", "/disk:1/store", 1'000'000'000},
                        {"/odd:name:1G", "/odd:name", 1'000'000'000}};
  for (const Case& is : cases) {
    auto settings = target_settings(with(is.text));
    ASSERT_TRUE(settings) << is.text << ": " << settings.error().what;
    ASSERT_TRUE(settings->store) << is.text;
    EXPECT_EQ(settings->store->folder, is.folder) << is.text;
    EXPECT_EQ(settings->store->capacity_bytes, is.capacity_bytes) << is.text;
    EXPECT_FALSE(settings->store->end_when_lost);
    EXPECT_LE(settings->store->segment_bytes, limits::kSegmentBytes);
    if (is.capacity_bytes > 0) {
      EXPECT_LE(settings->store->segment_bytes, is.capacity_bytes / 8) << is.text;
    }
  }
}

TEST_F(StoreOptionsTest, WhatIsWrongComesWithWhatToDo) {
  for (const char* bad : {"", ":", ":1G", "/var/store:", "/var/store:lots", "/var/store:1G:", "/var/store:-1",
                          "/odd:name", "/var/store:0", "/var/store:1000", "/var/store:67108863", "/var/store:64M"}) {
    auto settings = target_settings(with(bad));
    ASSERT_FALSE(settings) << bad;
    EXPECT_EQ(settings.error().fault, Fault::kUsage) << bad;
    EXPECT_NE(settings.error().what.find(std::string("--store ") + bad), std::string::npos) << settings.error().what;
    EXPECT_FALSE(settings.error().next.empty()) << bad;
  }
}

TEST_F(StoreOptionsTest, WhatBecomesOfATransferWhoseStoreFails) {
  TransferOptions options = with("/var/store");
  options.store_failure = "end";
  auto settings = target_settings(options);
  ASSERT_TRUE(settings);
  EXPECT_TRUE(settings->store->end_when_lost);
  for (const char* bad : {"", "stop", "End"}) {
    options.store_failure = bad;
    auto refused = target_settings(options);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().fault, Fault::kUsage);
  }
  options.store.reset();
  options.store_failure = "end";
  EXPECT_FALSE(target_settings(options)) << "there is no store";
  options.store_failure = "continue";
  settings = target_settings(options);
  ASSERT_TRUE(settings);
  EXPECT_FALSE(settings->store);
}

TEST_F(StoreOptionsTest, WhoseContentIsLookedFor) {
  TransferOptions options = with("/var/store");
  auto settings = target_settings(options);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->store->dedup, DedupScope::kPeer);
  const std::pair<const char*, DedupScope> words[] = {{"none", DedupScope::kNone},
                                                      {"session", DedupScope::kSession},
                                                      {"dataset", DedupScope::kDataset},
                                                      {"peer", DedupScope::kPeer}};
  for (const auto& [word, scope] : words) {
    options.dedup_scope = word;
    settings = target_settings(options);
    ASSERT_TRUE(settings) << word;
    EXPECT_EQ(settings->store->dedup, scope) << word;
  }
  for (const char* bad : {"", "all", "Peer", "peers", "peer,session"}) {
    options.dedup_scope = bad;
    auto refused = target_settings(options);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().fault, Fault::kUsage);
    EXPECT_FALSE(refused.error().next.empty());
  }
  options.store.reset();
  for (const char* word : {"peer", "none"}) {
    options.dedup_scope = word;
    auto refused = target_settings(options);
    ASSERT_FALSE(refused) << "there is no store";
    EXPECT_EQ(refused.error().fault, Fault::kUsage);
    EXPECT_NE(refused.error().next.find("--store"), std::string::npos);
  }
}

class ImportPeerTest : public StoreOptionsTest {
 protected:
  ImportPeerTest() {
    options_.config_folder = folder_.path();
    for (PublicKey& key : keys_) key = public_half(generate_key());
  }
  std::string line(int which) const { return public_key_line(keys_[which]); }
  void expect_refused(const std::string& why) const {
    auto refused = import_settings(options_, {});
    ASSERT_FALSE(refused) << why;
    EXPECT_EQ(refused.error().fault, Fault::kUsage) << refused.error().what;
    EXPECT_NE(refused.error().next.find("--peer"), std::string::npos) << refused.error().next;
  }

  StoreOptions options_;
  PublicKey keys_[3];
};

TEST_F(ImportPeerTest, ItIsNamedByKeyOrByName) {
  folder_.write("allow", line(0) + "\n");
  folder_.write("peers", "tank.example " + line(1) + "\n");
  options_.peer = line(2);
  ASSERT_TRUE(import_settings(options_, {}));
  EXPECT_EQ(import_settings(options_, {})->peer, keys_[2]);
  options_.peer = "tank.example";
  ASSERT_TRUE(import_settings(options_, {}));
  EXPECT_EQ(import_settings(options_, {})->peer, keys_[1]);
  options_.peer = "other.example";
  expect_refused("nobody has that name");
  options_.peer = line(2) + "x";
  expect_refused("that is no key");
}

TEST_F(ImportPeerTest, ItHasASecretInPlaceOfAKey) {
  options_.secret_file = folder_.path("secret");
  StoreChoice choice;
  choice.capacity_bytes = 5 * limits::MiB;
  choice.segment_bytes = limits::MiB;
  auto settings = import_settings(options_, choice);
  ASSERT_TRUE(settings) << settings.error().what;
  ASSERT_TRUE(settings->secret);
  const auto secret = read_secret(options_.secret_file);
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret_line(*settings->secret), secret_line(*secret));
  EXPECT_EQ(settings->capacity_bytes, 5 * limits::MiB);
  EXPECT_EQ(settings->segment_bytes, limits::MiB);
  options_.peer = line(0);
  auto both = import_settings(options_, {});
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().fault, Fault::kUsage);
}

TEST_F(ImportPeerTest, WithoutANameItIsTheOnlyOneThatMayConnect) {
  expect_refused("there is no allow file");
  folder_.write("allow", "# the source\n" + line(1) + " tank\n");
  ASSERT_TRUE(import_settings(options_, {}));
  EXPECT_EQ(import_settings(options_, {})->peer, keys_[1]);
  folder_.write("allow", line(0) + "\n" + line(1) + "\n");
  expect_refused("there are two");
  folder_.write("allow", "nonsense\n");
  auto refused = import_settings(options_, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::kConfig);
}

TEST_F(StoreOptionsTest, ADatasetStandsForItsCommandWhereThereIsNone) {
  TransferOptions options = with("/var/store");
  options.dataset = "pool/vm";
  auto settings = target_settings(options);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->consumer, (std::vector<std::string>{"zfs", "receive", "-s", "-u", "pool/vm"}));
  EXPECT_EQ(settings->dataset, "pool/vm");
  options.command = {"sh", "-c", "mbuffer | zfs receive -s pool/vm"};
  settings = target_settings(options);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->consumer, options.command);
  options.command.clear();
  options.out = "file";
  auto refused = target_settings(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::kUsage);
}

}  // namespace
}  // namespace zferry::cli
