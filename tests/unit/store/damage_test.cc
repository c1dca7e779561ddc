// Files that were changed, cut, exchanged or lost: told as damage where they count, never a crash of ours, never other
// bytes; and other keys, versions and folders are refused.
#include "unit/store/scripted_run.h"

namespace zferry::store {
namespace {

class DamageTest : public StoreSetting {
 protected:
  DamageTest() {
    segment_bytes_ = 4096;
    ScriptedRun run(disk_, key_, settings(), random_);
    run.open({});
    run.begin(1);
    for (std::uint64_t round = 0; round < 4; ++round) {
      for (std::uint64_t number = 3 * round; number < 3 * round + 3; ++number) run.put(1, number, 900);
      run.note(1, Note::kRun, std::to_string(round));
      run.commit(1);
      models_.push_back(run.durable());
    }
    EXPECT_TRUE(run.alive());
    for (const auto& [name, file] : disk_.files) before_[name] = file->content;
  }
  // What an opening has removed is there again.
  void restore() {
    disk_ = MemoryDisk();
    for (const auto& [name, content] : before_) {
      disk_.files[name] = std::make_shared<MemoryFile>();
      disk_.files[name]->content = content;
    }
  }
  std::vector<std::byte>& content(const std::string& prefix, std::size_t which = 0) {
    return disk_.files.at(names(prefix).at(which))->content;
  }
  // Opens; gives which of the commits is there, or -1 for damage that was told, or -2 for anything else.
  int commits_there() {
    auto store = open();
    EXPECT_TRUE(store) << store.error().what;
    if (!store || store_->sessions().size() != 1) return -2;
    if (const auto damage = store_->sessions()[0].damage) {
      EXPECT_EQ(damage->fault, Fault::kStoreFailed);
      EXPECT_NE(damage->what.find("journal-"), std::string::npos) << damage->what;
      EXPECT_EQ(store_->sessions()[0].id, session_id(1));
      return -1;
    }
    const auto found = read_back(*store_);
    for (std::size_t i = 0; found && i < models_.size(); ++i)
      if (*found == models_[i]) return static_cast<int>(i);
    return -2;
  }

  std::vector<Model> models_;
  std::map<std::string, std::vector<std::byte>> before_;
};

TEST_F(DamageTest, AnyByteOfAJournal) {
  std::map<int, int> outcomes;
  const std::size_t bytes = content("journal-").size();
  for (std::size_t at = 0; at < bytes; ++at) {
    restore();
    content("journal-")[at] ^= std::byte{0x10};
    const int there = commits_there();
    // Of the last commit alone nobody can tell damage from a torn tail.
    ASSERT_TRUE(there == -1 || there == 2) << at << ": " << there;
    ++outcomes[there];
  }
  restore();
  EXPECT_EQ(commits_there(), 3);
  EXPECT_GT(outcomes[-1], outcomes[2]);
  EXPECT_GT(outcomes[2], 100);
}

TEST_F(DamageTest, AJournalCutAnywhere) {
  const auto whole = content("journal-");
  int last = -1;
  for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
    restore();
    content("journal-").assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
    const int there = commits_there();
    ASSERT_GE(there, last) << bytes;
    last = there;
  }
  EXPECT_EQ(last, 3);
}

TEST_F(DamageTest, AnyByteOfASegment) {
  store_.reset();
  const auto segments = names("segment-");
  ASSERT_EQ(segments.size(), 3u);
  MemoryFolder folder(disk_);
  std::size_t told = 0, flipped = 0;
  for (const std::string& name : segments) {
    auto& bytes = disk_.files.at(name)->content;
    for (std::size_t at = 0; at < bytes.size(); at += 7, ++flipped) {
      bytes[at] ^= std::byte{1};
      auto seen = verify(folder, key_);
      ASSERT_TRUE(seen);
      told += seen->damaged.size() == 1 && seen->damaged[0].second.what.find(name) != std::string::npos;
      bytes[at] ^= std::byte{1};
    }
  }
  EXPECT_EQ(told, flipped);
  EXPECT_GT(flipped, 1000u);
}

TEST_F(DamageTest, ASegmentThatIsGoneOrCutOrAnother) {
  const auto segments = names("segment-");
  const auto first = disk_.files.at(segments[0])->content;
  const auto told = [&] {
    auto store = open();
    if (!store || !store_->sessions()[0].damage) return false;
    return store_->sessions()[0].damage->what.find(segments[0]) != std::string::npos;
  };
  disk_.files.at(segments[0])->content.pop_back();
  EXPECT_TRUE(told());
  disk_.files.erase(segments[0]);
  EXPECT_TRUE(told());
  // Long enough, and sealed by the same store, but not this one: found when it is read.
  disk_.files[segments[0]] = std::make_shared<MemoryFile>();
  disk_.files[segments[0]]->content = disk_.files.at(segments[1])->content;
  ASSERT_TRUE(open());
  {
    auto session = store_->resume(session_id(1));
    ASSERT_TRUE(session);
    EXPECT_FALSE(gives_back(**session, 0));
    EXPECT_TRUE(gives_back(**session, 11));
  }
  disk_.files[segments[0]]->content = first;
  EXPECT_EQ(commits_there(), 3);
}

// A file of the same store, session, number, place and block, but of an earlier session of that id.
TEST_F(DamageTest, ASegmentOfTheSameName) {
  const std::string name = names("segment-")[0];
  const auto old = disk_.files.at(name)->content;
  ASSERT_TRUE(open());
  ASSERT_TRUE(store_->remove(session_id(1)));
  auto session = store_->begin(session_id(1), "1");
  ASSERT_TRUE(session);
  for (std::uint64_t number = 0; number < 5; ++number) ASSERT_TRUE(put(**session, number, 900, 1));
  ASSERT_TRUE((*session)->commit());
  EXPECT_TRUE(gives_back(**session, 0, 1));
  session->reset();
  ASSERT_EQ(disk_.files.at(name)->content.size(), old.size());
  disk_.files.at(name)->content = old;
  ASSERT_TRUE(open());
  session = store_->resume(session_id(1));
  ASSERT_TRUE(session);
  std::vector<std::byte> packed(900);
  const Status status = (*session)->read(0, packed);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().what.find("not the file"), std::string::npos) << status.error().what;
}

TEST_F(DamageTest, ADamagedSessionCanOnlyBeRemoved) {
  content("journal-")[100] ^= std::byte{1};
  disk_.files["segment-nobody-knows"] = std::make_shared<MemoryFile>();
  ASSERT_TRUE(open());
  ASSERT_TRUE(store_->sessions()[0].damage);
  EXPECT_GT(store_->sessions()[0].disk_bytes, 10000u);
  EXPECT_FALSE(store_->resume(session_id(1)));
  EXPECT_EQ(names("segment-").size(), 4u);  // kept until somebody says
  auto other = store_->begin(session_id(2), "2");
  ASSERT_TRUE(other);
  ASSERT_TRUE(put(**other, 0, 100));
  ASSERT_TRUE((*other)->commit());
  other->reset();
  ASSERT_TRUE(store_->remove(session_id(1)));
  EXPECT_EQ(store_->sessions().size(), 1u);
  EXPECT_EQ(names("segment-").size(), 2u);
}

TEST_F(DamageTest, AnyByteOfTheFormat) {
  auto& bytes = disk_.files.at("format")->content;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= std::byte{4};
    auto store = open();
    ASSERT_FALSE(store) << at;
    EXPECT_EQ(store.error().fault, Fault::kStoreFailed);
    EXPECT_EQ(store.error().what.find("another key"), std::string::npos);
    bytes[at] ^= std::byte{4};
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(open());
  bytes.resize(bytes.size() - 2);
  EXPECT_FALSE(open());
}

TEST_F(DamageTest, OtherKeysVersionsAndFolders) {
  const auto good = key_.copy();
  key_.writable()[5] ^= std::byte{1};
  auto store = open();
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().what.find("another key"), std::string::npos);
  EXPECT_FALSE(store.error().next.empty());
  key_ = good.copy();
  disk_.files.at("format")->content[8] = std::byte{9};
  store = open();
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().what.find("version 9"), std::string::npos);
  disk_.files.erase("format");
  store = open();
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().what.find("no store"), std::string::npos);
  MemoryDisk others;
  others.files["holiday.jpg"] = std::make_shared<MemoryFile>();
  MemoryFolder folder(others);
  EXPECT_FALSE(Store::open(folder, key_, settings(), random_));
  EXPECT_EQ(others.files.size(), 1u);
  EXPECT_FALSE(verify(folder, key_));
}

TEST_F(DamageTest, AJournalOfAnotherStoreOrSession) {
  MemoryDisk elsewhere;
  {
    ScriptedRun run(elsewhere, key_, settings(), random_);
    run.open({});
    run.begin(1);
    run.put(1, 0, 900);
    run.commit(1);
    run.begin(2);
    run.commit(2);
  }
  std::vector<std::vector<std::byte>> journals;
  for (const auto& [name, file] : elsewhere.files)
    if (name.starts_with("journal-")) journals.push_back(file->content);
  ASSERT_EQ(journals.size(), 2u);
  content("journal-") = journals[0];
  EXPECT_EQ(commits_there(), -1);
  // The two of one store, exchanged.
  auto first = elsewhere.files.begin();
  while (!first->first.starts_with("journal-")) ++first;
  std::swap(first->second, std::next(first)->second);
  MemoryFolder folder(elsewhere);
  auto store = Store::open(folder, key_, settings(), random_);
  ASSERT_TRUE(store);
  ASSERT_EQ((*store)->sessions().size(), 2u);
  for (const SessionSummary& summary : (*store)->sessions()) EXPECT_TRUE(summary.damage);
}

TEST_F(DamageTest, AfterAFailedWriteTheStoreIsOverButStillRead) {
  ASSERT_TRUE(open());
  auto session = store_->resume(session_id(1));
  ASSERT_TRUE(session);
  disk_.fault = [](std::uint64_t, const std::string& what) -> std::optional<Error> {
    if (!what.starts_with("sync segment")) return {};
    return Error{Fault::kStoreFailed, what + ": Input/output error", {}};
  };
  ASSERT_TRUE(put(**session, 50, 900));
  const Status failed = (*session)->commit();
  ASSERT_FALSE(failed);
  disk_.fault = nullptr;
  const std::uint64_t calls = disk_.calls;
  for (const Status& status :
       {(*session)->commit(), put(**session, 51, 900), (*session)->checkpoint(1, {}), store_->remove(session_id(3))}) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().what, failed.error().what);
    EXPECT_EQ(status.error().fault, Fault::kStoreFailed);
  }
  EXPECT_FALSE(store_->begin(session_id(2), "2"));
  EXPECT_EQ(disk_.calls, calls);
  for (std::uint64_t number = 0; number < 12; ++number) EXPECT_TRUE(gives_back(**session, number));
  session->reset();
  EXPECT_EQ(commits_there(), 3);
}

}  // namespace
}  // namespace zferry::store
