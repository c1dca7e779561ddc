// recv --store FOLDER[:CAPACITY] and what goes with it.
#include "keys.h"
#include "options.h"
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
