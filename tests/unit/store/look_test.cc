// A store seen from beside it: what it holds, while nobody has it and while somebody works on it.
#include <functional>

#include "unit/store/store_setting.h"

namespace zferry::store {
namespace {

// A folder that is not locked, in which something happens before each call.
class WatchedFolder final : public io::Folder {
 public:
  WatchedFolder(MemoryDisk& disk, std::function<void()> meanwhile) : inner_(disk), meanwhile_(std::move(meanwhile)) {}
  Status lock() override { return never(); }
  Result<std::vector<io::FolderEntry>> list() override {
    meanwhile_();
    return inner_.list();
  }
  Result<std::unique_ptr<io::FolderFile>> create(const std::string&) override { return never(); }
  Result<std::unique_ptr<io::FolderFile>> open(const std::string& name) override {
    meanwhile_();
    auto file = inner_.open(name);
    if (!file) return file.take_error();
    return std::unique_ptr<io::FolderFile>(std::make_unique<File>(std::move(*file), meanwhile_));
  }
  Status rename(const std::string&, const std::string&) override { return never(); }
  Status remove(const std::string&) override { return never(); }
  Status sync() override { return never(); }
  Result<std::uint64_t> free_bytes() override { return inner_.free_bytes(); }
  std::string path() const override { return inner_.path(); }

 private:
  class File final : public io::FolderFile {
   public:
    File(std::unique_ptr<io::FolderFile> inner, std::function<void()> meanwhile)
        : inner_(std::move(inner)), meanwhile_(std::move(meanwhile)), bytes_(inner_->bytes()) {}
    Status append(ConstBytes) override { return never(); }
    Result<std::size_t> read(std::uint64_t at, Bytes into) override {
      meanwhile_();
      return inner_->read(at, into);
    }
    Status sync() override { return never(); }
    std::uint64_t bytes() const override { return bytes_; }

   private:
    std::unique_ptr<io::FolderFile> inner_;
    std::function<void()> meanwhile_;
    std::uint64_t bytes_;
  };
  static Error never() {
    ADD_FAILURE() << "who only looks changes nothing";
    return {Fault::kInternal, "never", {}};
  }

  MemoryFolder inner_;
  std::function<void()> meanwhile_;
};

class LookTest : public StoreSetting {
 protected:
  Result<Holdings> look_now(std::function<void()> meanwhile = [] {}) {
    WatchedFolder folder(disk_, std::move(meanwhile));
    return look(folder, key_);
  }
};

TEST_F(LookTest, TellsWhatIsThere) {
  ASSERT_TRUE(open());
  {
    auto one = store_->begin(session_id(1), "tank/vm@monday -> stdout");
    ASSERT_TRUE(one);
    for (std::uint64_t number = 0; number < 9; ++number) ASSERT_TRUE(put(**one, number, 20000));
    ASSERT_TRUE((*one)->checkpoint(4, text("state")));
    auto two = store_->begin(session_id(2), "two");
    ASSERT_TRUE(two);
    for (std::uint64_t number : {0, 1, 3}) ASSERT_TRUE(put(**two, number, 1000));
    ASSERT_TRUE((*two)->commit());
  }
  auto holdings = look_now();
  ASSERT_TRUE(holdings) << holdings.error().what;
  EXPECT_EQ(holdings->used_bytes, disk_.used_bytes());
  auto sessions = store_->sessions();
  ASSERT_EQ(sessions.size(), 2u);
  ASSERT_EQ(holdings->sessions.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const SessionSummary &seen = holdings->sessions[i], &is = sessions[i];
    EXPECT_EQ(seen.id, is.id);
    EXPECT_EQ(seen.label, is.label);
    EXPECT_EQ(seen.begun_unix_s, 1700000000);
    EXPECT_EQ(seen.first_number, is.first_number);
    EXPECT_EQ(seen.next_number, is.next_number);
    EXPECT_EQ(seen.first_offset, is.first_offset);
    EXPECT_EQ(seen.next_offset, is.next_offset);
    EXPECT_EQ(seen.blocks, is.blocks);
    EXPECT_EQ(seen.packed_bytes, is.packed_bytes);
    EXPECT_EQ(seen.disk_bytes, is.disk_bytes);
    EXPECT_FALSE(seen.damage);
  }
  const bool ordered = holdings->sessions[0].id == session_id(1);
  const SessionSummary &one = holdings->sessions[ordered ? 0 : 1], &two = holdings->sessions[ordered ? 1 : 0];
  EXPECT_EQ(one.first_offset, 4 * 4096u);
  EXPECT_EQ(one.next_offset, 9 * 4096u);
  EXPECT_EQ(two.first_offset, 0u);
  EXPECT_EQ(two.next_offset, 2 * 4096u) << "up to the first that is missing";
}

TEST_F(LookTest, WhereEverythingIsAppliedNoPlaceIsKnown) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  ASSERT_TRUE(put(**session, 0, 500));
  ASSERT_TRUE((*session)->checkpoint(1, text("state")));
  auto holdings = look_now();
  ASSERT_TRUE(holdings);
  ASSERT_EQ(holdings->sessions.size(), 1u);
  EXPECT_EQ(holdings->sessions[0].first_number, 1u);
  EXPECT_EQ(holdings->sessions[0].blocks, 0u);
  EXPECT_FALSE(holdings->sessions[0].first_offset || holdings->sessions[0].next_offset);
}

TEST_F(LookTest, OfASessionInUseWhatItHasCommitted) {
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  ASSERT_TRUE(put(**session, 0, 500));
  auto before = look_now();
  ASSERT_TRUE(before);
  EXPECT_TRUE(before->sessions.empty()) << "it is none yet";
  ASSERT_TRUE((*session)->commit());
  ASSERT_TRUE(put(**session, 1, 500));
  auto after = look_now();
  ASSERT_TRUE(after);
  ASSERT_EQ(after->sessions.size(), 1u);
  EXPECT_EQ(after->sessions[0].next_number, 1u);
}

// At every call that looks, the store goes on: blocks, commits, new journals, new segments, checkpoints that remove old
// ones.
TEST_F(LookTest, NeverTakesWhatHappensMeanwhileForDamage) {
  segment_bytes_ = 20000;
  ASSERT_TRUE(open());
  auto session = store_->begin(session_id(1), "s");
  ASSERT_TRUE(session);
  std::uint64_t next = 0, committed = 0, calls = 0;
  int sizes = 0;
  auto go_on = [&] {
    if (++calls % 5 == 4) return;
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(put(**session, next++, 3000 + 977 * static_cast<std::size_t>(sizes++ % 7)));
      ASSERT_TRUE((*session)->commit());
    }
    if (calls % 37 == 0) {
      ASSERT_TRUE((*session)->checkpoint(next - 2, std::vector<std::byte>(200000)));
    }
    committed = next;
  };
  go_on();
  std::uint64_t looks = 0, news = 0;
  for (; looks < 150; ++looks) {
    const std::uint64_t before = committed;
    auto holdings = look_now(go_on);
    ASSERT_TRUE(holdings) << holdings.error().what;
    ASSERT_EQ(holdings->sessions.size(), 1u);
    const SessionSummary& seen = holdings->sessions[0];
    ASSERT_FALSE(seen.damage) << looks << ": " << seen.damage->what;
    ASSERT_GE(seen.next_number, before);
    ASSERT_LE(seen.next_number, committed);
    news += seen.next_number > before;
  }
  EXPECT_GT(news, 120u) << "hardly anything happened meanwhile";
  EXPECT_GT(committed, 2000u);
}

TEST_F(LookTest, ASessionThatIsOverMeanwhileIsNotThere) {
  ASSERT_TRUE(open());
  for (int which : {1, 2}) {
    auto session = store_->begin(session_id(which), "s");
    ASSERT_TRUE(session);
    ASSERT_TRUE(put(**session, 0, 500));
    ASSERT_TRUE((*session)->commit());
  }
  for (int at = 0; at < 12; ++at) {
    int calls = 0;
    auto holdings = look_now([&] {
      if (calls++ != at) return;
      for (const SessionSummary& summary : store_->sessions())
        if (summary.id == session_id(1)) {
          ASSERT_TRUE(store_->remove(session_id(1)));
        }
    });
    ASSERT_TRUE(holdings) << holdings.error().what;
    EXPECT_TRUE(holdings->sessions.size() == 1 || holdings->sessions.size() == 2);
    for (const SessionSummary& seen : holdings->sessions) EXPECT_FALSE(seen.damage) << at << seen.damage->what;
    if (calls <= at) break;
    if (store_->sessions().size() == 2) continue;
    auto again = store_->begin(session_id(1), "s");
    ASSERT_TRUE(again && put(**again, 0, 500) && (*again)->commit());
  }
}

TEST_F(LookTest, DamageIsTold) {
  ASSERT_TRUE(open());
  {
    auto session = store_->begin(session_id(1), "s");
    ASSERT_TRUE(session);
    ASSERT_TRUE(put(**session, 0, 500));
    ASSERT_TRUE((*session)->commit());
  }
  const std::string segment = names("segment-").at(0), journal = names("journal-").at(0);
  const MemoryDisk::Files whole = disk_.files;
  disk_.files.erase(segment);
  auto holdings = look_now();
  ASSERT_TRUE(holdings && holdings->sessions.size() == 1 && holdings->sessions[0].damage);
  EXPECT_NE(holdings->sessions[0].damage->what.find(segment), std::string::npos);
  EXPECT_EQ(holdings->sessions[0].label, "s") << "the journal is whole";
  disk_.files = whole;
  disk_.files[journal] = std::make_shared<MemoryFile>(*whole.at(journal));
  disk_.files[journal]->content.at(20) ^= std::byte{1};
  holdings = look_now();
  ASSERT_TRUE(holdings && holdings->sessions.size() == 1 && holdings->sessions[0].damage);
  EXPECT_NE(holdings->sessions[0].damage->what.find(journal), std::string::npos);
  EXPECT_EQ(holdings->used_bytes, disk_.used_bytes());
}

TEST_F(LookTest, NoStoreAndAnotherKeyAreRefused) {
  auto nothing = look_now();
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().fault, Fault::kStoreFailed);
  EXPECT_TRUE(disk_.files.empty());
  ASSERT_TRUE(open());
  ASSERT_TRUE(look_now());
  random_.fill(key_.writable());
  auto other = look_now();
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().what.find("another key"), std::string::npos);
  EXPECT_NE(other.error().next.find("--state"), std::string::npos);
}

}  // namespace
}  // namespace zferry::store
