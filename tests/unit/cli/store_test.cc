// The façade for stores, on real folders.
#include "store.h"

#include "io/posix_folder.h"
#include "io/state_folder.h"
#include "pipeline/store_key.h"
#include "unit/cli/folder.h"

namespace zferry {
namespace {

using store::SessionId;
using zferry::testing::Folder;

SessionId id_of(int which) {
  SessionId id{};
  id[0] = static_cast<std::byte>(which);
  return id;
}

class StoreFacade : public ::testing::Test {
 protected:
  StoreFacade() : place_{folder_.path("store"), folder_.path("state")} {}

  // Opens the store as a recv does, key and all.
  std::unique_ptr<store::Store> open() {
    io::PosixStateFolder state(place_.state_folder);
    EXPECT_TRUE(state.prepare());
    auto key = pipeline::store_key(state, system_random());
    EXPECT_TRUE(key);
    posix_ = std::make_unique<io::PosixFolder>(place_.folder);
    store::StoreSettings settings;
    settings.unix_now_s = [] { return std::int64_t{1700000000}; };
    auto store = store::Store::open(*posix_, *key, settings, system_random());
    EXPECT_TRUE(store) << store.error().what;
    return std::move(*store);
  }
  static void fill(store::Store& store, int which, const std::string& label, std::uint64_t blocks) {
    auto session = store.begin(id_of(which), label);
    ASSERT_TRUE(session);
    for (std::uint64_t number = 0; number < blocks; ++number)
      ASSERT_TRUE((*session)->append({number, number * 1000, 1000, 400, 1}, std::vector<std::byte>(400)));
    ASSERT_TRUE((*session)->commit());
  }
  void make(const std::string& label = "tank/vm@monday -> command zfs receive -s -u pool/vm",
            std::uint64_t blocks = 3) {
    auto store = open();
    fill(*store, 1, label, blocks);
    store.reset();
    posix_.reset();
  }
  std::string file(const std::string& prefix) const {
    for (const auto& entry : std::filesystem::directory_iterator(place_.folder))
      if (entry.path().filename().string().starts_with(prefix)) return entry.path().string();
    ADD_FAILURE() << "no " << prefix;
    return {};
  }
  static void flip(const std::string& path, long at) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get());
    stream.seekp(at);
    stream.put(static_cast<char>(byte ^ 1));
  }
  // Of each of the three calls.
  std::vector<Error> errors() const {
    std::vector<Error> all;
    if (auto result = store_contents(place_); !result) all.push_back(result.error());
    if (auto result = verify_store(place_); !result) all.push_back(result.error());
    if (auto result = prune_store(place_, {id_of(1)}); !result) all.push_back(result.error());
    return all;
  }

  Folder folder_;
  StorePlace place_;
  std::unique_ptr<io::PosixFolder> posix_;
};

TEST_F(StoreFacade, ContentsAreTold) {
  make();
  auto contents = store_contents(place_);
  ASSERT_TRUE(contents) << contents.error().what;
  ASSERT_EQ(contents->sessions.size(), 1u);
  const StoredSession& session = contents->sessions[0];
  EXPECT_EQ(session.id, "01" + std::string(62, '0'));
  EXPECT_EQ(session.stream_name, "tank/vm@monday");
  EXPECT_EQ(session.destination, "zfs receive -s -u pool/vm");
  EXPECT_EQ(session.ask_command, "zfs get -H -o value receive_resume_token pool/vm");
  EXPECT_EQ(session.give_up_command, "zfs receive -A pool/vm");
  EXPECT_EQ(session.summary.blocks, 3u);
  EXPECT_EQ(session.summary.next_offset, 3000u);
  EXPECT_EQ(session.summary.begun_unix_s, 1700000000);
  EXPECT_GT(contents->used_bytes, session.summary.disk_bytes);
  EXPECT_GT(contents->free_bytes, 0u);
}

TEST_F(StoreFacade, LabelsOfEveryKind) {
  struct Case {
    const char *label, *stream, *destination, *give_up;
  };
  const Case cases[] = {{"dump -> file /backup/x", "dump", "file /backup/x", ""},
                        {" -> stdout", "", "stdout", ""},
                        {"odd", "odd", "", ""},
                        {"", "", "", ""},
                        {"t/a@b -> command zfs receive -u p/a", "t/a@b", "zfs receive -u p/a", ""},
                        {"t/x/y@b -> command sudo zfs recv -s -d p/a", "t/x/y@b", "sudo zfs recv -s -d p/a",
                         "sudo zfs receive -A p/a/x/y"},
                        // What a stranger's name would make of a shell's line is not for pasting.
                        {"t/x;reboot@b -> command zfs recv -s -d p/a", "t/x;reboot@b", "zfs recv -s -d p/a", ""},
                        {"t/$(x)@b -> command zfs recv -s -e p/a", "t/$(x)@b", "zfs recv -s -e p/a", ""}};
  auto store = open();
  for (int i = 0; i < 8; ++i) fill(*store, i + 1, cases[i].label, 1);
  store.reset();
  auto contents = store_contents(place_);
  ASSERT_TRUE(contents);
  ASSERT_EQ(contents->sessions.size(), 8u);
  for (const StoredSession& session : contents->sessions) {
    const Case& is = cases[static_cast<int>(session.summary.id[0]) - 1];
    EXPECT_EQ(session.stream_name, is.stream);
    EXPECT_EQ(session.destination, is.destination);
    EXPECT_EQ(session.give_up_command, is.give_up);
    EXPECT_EQ(session.ask_command.empty(), session.give_up_command.empty());
  }
}

TEST_F(StoreFacade, WhatIsNoStoreIsRefusedAndStaysAsItIs) {
  for (const bool there : {false, true}) {
    if (there) std::filesystem::create_directory(place_.folder);
    const auto all = errors();
    ASSERT_EQ(all.size(), 3u);
    for (const Error& error : all) {
      EXPECT_EQ(error.fault, Fault::kStoreFailed) << error.what;
      EXPECT_NE(error.what.find(place_.folder), std::string::npos) << error.what;
      EXPECT_NE(error.next.find("recv --store"), std::string::npos) << error.next;
    }
    EXPECT_EQ(std::filesystem::exists(place_.folder), there);
    EXPECT_TRUE(!there || std::filesystem::is_empty(place_.folder));
  }
  EXPECT_FALSE(std::filesystem::exists(place_.state_folder));
}

TEST_F(StoreFacade, WithoutAKeyNoneIsMade) {
  make();
  place_.state_folder = folder_.path("other-state");
  for (const bool there : {false, true}) {
    if (there) std::filesystem::create_directory(place_.state_folder);
    const auto all = errors();
    ASSERT_EQ(all.size(), 3u);
    for (const Error& error : all) {
      EXPECT_EQ(error.fault, Fault::kStateFailed) << error.what;
      EXPECT_NE(error.next.find("--state"), std::string::npos) << error.next;
    }
    EXPECT_EQ(std::filesystem::exists(place_.state_folder), there);
    EXPECT_TRUE(!there || std::filesystem::is_empty(place_.state_folder));
  }
}

TEST_F(StoreFacade, AnotherKeyAndAnotherVersionAreRefused) {
  make();
  StorePlace right = place_;
  place_.state_folder = folder_.path("other-state");
  io::PosixStateFolder state(place_.state_folder);
  ASSERT_TRUE(state.prepare() && pipeline::store_key(state, system_random()));
  ASSERT_EQ(errors().size(), 3u);
  for (const Error& error : errors()) {
    EXPECT_EQ(error.fault, Fault::kStoreFailed);
    EXPECT_NE(error.what.find("another key"), std::string::npos) << error.what;
    EXPECT_NE(error.next.find("--state"), std::string::npos) << error.next;
  }
  place_ = right;
  flip(file("format"), 8);
  ASSERT_EQ(errors().size(), 3u);
  for (const Error& error : errors()) {
    EXPECT_EQ(error.fault, Fault::kStoreFailed);
    EXPECT_NE(error.what.find("version 0"), std::string::npos) << error.what;
    EXPECT_FALSE(error.next.empty());
  }
}

TEST_F(StoreFacade, InUseItCanOnlyBeLookedAt) {
  auto store = open();
  fill(*store, 1, "s -> stdout", 2);
  auto contents = store_contents(place_);
  ASSERT_TRUE(contents) << contents.error().what;
  EXPECT_EQ(contents->sessions.size(), 1u);
  const auto all = errors();
  ASSERT_EQ(all.size(), 2u);
  for (const Error& error : all) {
    EXPECT_EQ(error.fault, Fault::kBusy);
    EXPECT_NE(error.what.find("in use by process"), std::string::npos) << error.what;
  }
}

TEST_F(StoreFacade, DamageIsToldByFileAndPlace) {
  make();
  auto whole = verify_store(place_);
  ASSERT_TRUE(whole) << whole.error().what;
  EXPECT_EQ(whole->sessions, 1u);
  EXPECT_EQ(whole->blocks, 3u);
  EXPECT_EQ(whole->packed_bytes, 1200u);
  EXPECT_TRUE(whole->damaged.empty());
  const std::string segment = file("segment-");
  flip(segment, 64 + 400 + 16 + 5);  // behind the header and the first block
  auto verdict = verify_store(place_);
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ(verdict->blocks, 1u);
  ASSERT_EQ(verdict->damaged.size(), 1u);
  const StoreDamage& damage = verdict->damaged[0];
  EXPECT_EQ(damage.session.stream_name, "tank/vm@monday");
  EXPECT_EQ(damage.error.fault, Fault::kStoreFailed);
  EXPECT_NE(damage.error.what.find(std::filesystem::path(segment).filename().string() + " at 480: block 1"),
            std::string::npos)
      << damage.error.what;
}

TEST_F(StoreFacade, PruningTakesWhatIsNamedAlone) {
  {
    auto store = open();
    for (int which : {1, 2, 3}) fill(*store, which, std::to_string(which) + " -> stdout", 50);
  }
  posix_.reset();
  flip(file("journal-"), 20);  // one of them can only be removed
  const std::uint64_t before = store_contents(place_)->used_bytes;
  auto pruning = prune_store(place_, {id_of(2), id_of(7)});
  ASSERT_TRUE(pruning) << pruning.error().what;
  EXPECT_EQ(pruning->sessions, 1u);
  EXPECT_GT(pruning->freed_bytes, 50 * 400u);
  EXPECT_EQ(pruning->used_bytes, before - pruning->freed_bytes);
  auto contents = store_contents(place_);
  ASSERT_TRUE(contents);
  EXPECT_EQ(contents->sessions.size(), 2u);
  pruning = prune_store(place_, {id_of(1), id_of(3)});
  ASSERT_TRUE(pruning) << pruning.error().what;
  EXPECT_EQ(pruning->sessions, 2u);
  contents = store_contents(place_);
  ASSERT_TRUE(contents);
  EXPECT_TRUE(contents->sessions.empty());
  EXPECT_EQ(contents->used_bytes, pruning->used_bytes);
  EXPECT_LT(contents->used_bytes, 1000u);
}

}  // namespace
}  // namespace zferry
