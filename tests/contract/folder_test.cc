// The contract of io/folder.h: a store's folder.
#include "io/folder.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "contract/host_under_test.h"

namespace zferry::io::contract {
namespace {

namespace fs = std::filesystem;

class Folders : public Contract {
 protected:
  void SetUp() override {
    Contract::SetUp();
    path_ = folder_ + "/store";
  }
  std::unique_ptr<Folder> folder(const std::string& path) { return host_->files().folder(path); }
  std::unique_ptr<Folder> locked() {
    auto folder = this->folder(path_);
    const Status status = folder->lock();
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().what);
    return folder;
  }
  static std::unique_ptr<FolderFile> create(Folder& folder, const std::string& name, std::string_view text = "") {
    auto file = folder.create(name);
    EXPECT_TRUE(file.ok()) << (file.ok() ? "" : file.error().what);
    if (!file.ok()) return nullptr;
    EXPECT_TRUE((*file)->append(as_bytes(text)).ok());
    return std::move(*file);
  }
  static std::string content(FolderFile& file) {
    std::vector<std::byte> bytes(file.bytes() + 1);
    const auto count = file.read(0, bytes);
    EXPECT_TRUE(count.ok());
    return count.ok() ? std::string(as_text(ConstBytes(bytes).first(*count))) : "unreadable";
  }
  static std::string content(Folder& folder, const std::string& name) {
    const auto file = folder.open(name);
    return file.ok() ? content(**file) : "nothing";
  }
  // "name:bytes" of each, with a space between.
  static std::string listed(Folder& folder) {
    const auto entries = folder.list();
    if (!entries.ok()) return "error";
    std::string text;
    for (const FolderEntry& entry : *entries) {
      text += (text.empty() ? "" : " ") + entry.name + ":" + std::to_string(entry.bytes);
    }
    return text;
  }
  // The file by its name, and the system's words.
  template <class T>
  static void expect_failed(const Result<T>& result, const std::string& name, const std::string& words,
                            Fault fault = Fault::kStoreFailed) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().fault, fault);
    EXPECT_NE(result.error().what.find(name), std::string::npos) << result.error().what;
    EXPECT_NE(result.error().what.find(words), std::string::npos) << result.error().what;
    EXPECT_FALSE(result.error().next.empty());
  }

  std::string path_;
};
ZF_ON_EVERY_BACK_END(Folders);

TEST_P(Folders, AreMadeByLock) {
  const auto folder = this->folder(path_);
  EXPECT_EQ(folder->path(), path_);
  expect_failed(folder->list(), path_, "No such file or directory");
  expect_failed(folder->open("one"), path_, "No such file or directory");
  expect_failed(folder->free_bytes(), path_, "No such file or directory");
  ASSERT_TRUE(folder->lock().ok());
  EXPECT_EQ(listed(*folder), "");
  EXPECT_TRUE(folder->sync().ok());
  const auto free = folder->free_bytes();
  ASSERT_TRUE(free.ok());
  EXPECT_GT(*free, 0u);
}

TEST_P(Folders, KeepWhatIsAppended) {
  auto folder = locked();
  const auto bytes = some_bytes(71, 3'000'000);
  {
    const auto file = create(*folder, "segment-0.1");
    EXPECT_EQ(file->bytes(), 0u);
    SeededRandom random(72);
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t count = std::min<std::size_t>(random.below(200'000), bytes.size() - at);
      ASSERT_TRUE(file->append(ConstBytes(bytes).subspan(at, count)).ok());
      at += count;
      EXPECT_EQ(file->bytes(), at);
      if (random.chance(0.2)) {
        EXPECT_TRUE(file->sync().ok());
      }
    }
    EXPECT_TRUE(file->sync().ok());
    EXPECT_TRUE(folder->sync().ok());
    EXPECT_EQ(content(*file), as_text(bytes));
  }
  EXPECT_EQ(listed(*folder), "segment-0.1:3000000");
  folder.reset();
  folder = locked();
  EXPECT_EQ(listed(*folder), "segment-0.1:3000000");
  EXPECT_EQ(content(*folder, "segment-0.1"), as_text(bytes));
}

TEST_P(Folders, ReadFewerBytesOnlyAtTheEnd) {
  const auto folder = locked();
  const auto written = create(*folder, "one", "0123456789");
  const auto opened = folder->open("one");
  ASSERT_TRUE(opened.ok());
  for (FolderFile* file : {written.get(), opened->get()}) {
    const auto read = [file](std::uint64_t at, std::size_t count) {
      std::vector<std::byte> into(count);
      const auto taken = file->read(at, into);
      return taken.ok() ? std::string(as_text(ConstBytes(into).first(*taken))) : "error";
    };
    EXPECT_EQ(read(0, 10), "0123456789");
    EXPECT_EQ(read(3, 4), "3456");
    EXPECT_EQ(read(8, 10), "89");
    EXPECT_EQ(read(10, 10), "");
    EXPECT_EQ(read(11, 1), "");
    EXPECT_EQ(read(std::uint64_t{1} << 63, 10), "");
    EXPECT_EQ(read(~std::uint64_t{0}, 10), "");
    EXPECT_EQ(read(2, 0), "");
  }
}

TEST_P(Folders, OpenedFilesHaveTheLengthOfThenAndCanBeSynced) {
  const auto folder = locked();
  const auto written = create(*folder, "one", "first");
  const auto opened = folder->open("one");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->bytes(), 5u);
  EXPECT_TRUE(written->append(as_bytes(" second")).ok());
  EXPECT_EQ(written->bytes(), 12u);
  EXPECT_EQ((*opened)->bytes(), 5u);
  EXPECT_TRUE((*opened)->sync().ok());
  EXPECT_EQ(content(*folder, "one"), "first second");
}

TEST_P(Folders, CreateOnlyWhatIsNotThere) {
  const auto folder = locked();
  create(*folder, "one", "text");
  expect_failed(folder->create("one"), path_ + "/one", "File exists");
  EXPECT_EQ(content(*folder, "one"), "text");
  expect_failed(folder->open("two"), path_ + "/two", "No such file or directory");
  EXPECT_EQ(listed(*folder), "one:4");
}

TEST_P(Folders, RenameReplaces) {
  const auto folder = locked();
  const auto first = create(*folder, "one", "first");
  const auto second = create(*folder, "two", "2nd");
  EXPECT_TRUE(folder->rename("two", "one").ok());
  EXPECT_EQ(listed(*folder), "one:3");
  EXPECT_EQ(content(*folder, "one"), "2nd");
  EXPECT_EQ(content(*first), "first");  // nobody's, but open
  EXPECT_TRUE(second->append(as_bytes(" more")).ok());
  EXPECT_EQ(content(*folder, "one"), "2nd more");
  EXPECT_TRUE(folder->rename("one", "one").ok());
  EXPECT_EQ(listed(*folder), "one:8");
  expect_failed(folder->rename("two", "one"), path_ + "/two", "No such file or directory");
  EXPECT_TRUE(folder->sync().ok());
}

TEST_P(Folders, RemoveWhatIsThereOrNot) {
  const auto folder = locked();
  const auto file = create(*folder, "one", "text");
  EXPECT_TRUE(folder->remove("one").ok());
  EXPECT_TRUE(folder->remove("one").ok());
  EXPECT_EQ(listed(*folder), "");
  EXPECT_EQ(content(*file), "text");
  create(*folder, "one", "other");
  EXPECT_EQ(content(*folder, "one"), "other");
  EXPECT_EQ(content(*file), "text");
}

TEST_P(Folders, ListByName) {
  const auto folder = locked();
  for (const char* name : {"z", "a.1", "b", "a-1", "0"}) create(*folder, name, name);
  create(*folder, std::string(100, 'x'));
  EXPECT_EQ(listed(*folder), "0:1 a-1:3 a.1:3 b:1 " + std::string(100, 'x') + ":0 z:1");
}

TEST_P(Folders, BelongToOneAtATime) {
  auto first = locked();
  const auto second = folder(path_);
  expect_failed(second->lock(), path_, "in use by", Fault::kBusy);
  expect_failed(second->lock(), path_, "in use by", Fault::kBusy);
  create(*first, "one", "text");
  EXPECT_EQ(listed(*second), "one:4");  // to look at
  EXPECT_EQ(content(*second, "one"), "text");
  const auto elsewhere = folder(folder_ + "/other");
  EXPECT_TRUE(elsewhere->lock().ok());
  first.reset();
  EXPECT_TRUE(second->lock().ok());
  expect_failed(folder(path_)->lock(), path_, "in use by", Fault::kBusy);
}

class FoldersOfAFileSystem : public Folders {
 protected:
  void SetUp() override {
    if (!GetParam().real) GTEST_SKIP() << "no file system";
    Folders::SetUp();
  }
};
ZF_ON_EVERY_BACK_END(FoldersOfAFileSystem);

TEST_P(FoldersOfAFileSystem, AreForTheirOwnerAlone) {
  const mode_t mask = ::umask(0);
  const auto folder = this->folder(path_ + "//");
  EXPECT_TRUE(folder->lock().ok());
  create(*folder, "one");
  ::umask(mask);
  const auto mode = [](const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 ? facts.st_mode & 0777 : 0;
  };
  EXPECT_EQ(mode(path_), 0700u);
  EXPECT_EQ(mode(path_ + "/one"), 0600u);
  EXPECT_EQ(mode(path_ + "/lock"), 0600u);
}

TEST_P(FoldersOfAFileSystem, RefuseAFolderThatOthersMayWriteTo) {
  fs::create_directory(path_);
  for (const mode_t open : {0720, 0702, 0777}) {
    ::chmod(path_.c_str(), open);
    expect_failed(folder(path_)->lock(), path_, "others may write to it");
    expect_failed(folder(path_)->list(), path_, "others may write to it");
  }
  ::chmod(path_.c_str(), 0755);
  EXPECT_TRUE(folder(path_)->lock().ok());
}

TEST_P(FoldersOfAFileSystem, RefuseAFolderOfAnotherUser) {
  fs::create_directory(path_);
  if (::chown(path_.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "only root can give a folder away";
  expect_failed(folder(path_)->lock(), path_, "belongs to another user");
  EXPECT_TRUE(fs::is_empty(path_));
}

TEST_P(FoldersOfAFileSystem, CannotBeWhereAFileIsOrNoFolderIs) {
  std::ofstream(path_) << "a file in the way";
  expect_failed(folder(path_)->lock(), path_, "Not a directory");
  expect_failed(folder(folder_ + "/not/mounted")->lock(), folder_ + "/not/mounted", "No such file or directory");
  EXPECT_FALSE(fs::exists(folder_ + "/not"));
  expect_failed(folder("")->lock(), "", "no folder was given");
}

TEST_P(FoldersOfAFileSystem, FollowNoLinksAndWaitForNoPipes) {
  const auto folder = locked();
  std::ofstream(folder_ + "/outside") << "outside";
  fs::create_symlink(folder_ + "/outside", path_ + "/link");
  fs::create_symlink(folder_ + "/missing", path_ + "/loose");
  ASSERT_EQ(::mkfifo((path_ + "/pipe").c_str(), 0600), 0);
  fs::create_directory(path_ + "/folder");
  expect_failed(folder->open("link"), "/link", "Too many levels of symbolic links");
  expect_failed(folder->create("loose"), "/loose", "File exists");
  expect_failed(folder->open("pipe"), "/pipe", "not a regular file");
  expect_failed(folder->open("folder"), "/folder", "not a regular file");
  expect_failed(folder->remove("folder"), "/folder", "Is a directory");
  EXPECT_FALSE(fs::exists(folder_ + "/missing"));
  // The lock is not followed either.
  fs::create_directory(folder_ + "/second");
  fs::create_symlink(folder_ + "/outside", folder_ + "/second/lock");
  expect_failed(this->folder(folder_ + "/second")->lock(), "/lock", "Too many levels of symbolic links");
  EXPECT_EQ(listed(*folder), "");  // and no foreign thing is ours
}

TEST_P(FoldersOfAFileSystem, LeaveForeignNamesAlone) {
  const auto folder = locked();
  for (const std::string& name :
       {std::string(".hidden"), std::string("Upper"), std::string("a b"), std::string("x~"), std::string(101, 'x')}) {
    std::ofstream(path_ + "/" + name) << "not ours";
  }
  create(*folder, "one", "ours");
  EXPECT_EQ(listed(*folder), "one:4");
}

TEST_P(FoldersOfAFileSystem, GoFreeWhenTheirHolderIsKilled) {
  int ready[2] = {};
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto held = host_->files().folder(path_);
    const char ok = held->lock().ok() ? 1 : 0;
    if (::write(ready[1], &ok, 1) == 1) ::pause();
    ::_exit(1);
  }
  char ok = 0;
  EXPECT_EQ(::read(ready[0], &ok, 1), 1);
  EXPECT_EQ(ok, 1);
  const auto mine = folder(path_);
  expect_failed(mine->lock(), path_, "in use by process " + std::to_string(child), Fault::kBusy);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(mine->lock().ok());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_P(FoldersOfAFileSystem, AFileThatFailedTakesNoMore) {
  const auto folder = locked();
  const auto file = create(*folder, "one", "first");
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{100'000, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto failed = file->append(some_bytes(73, 200'000));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, before);
  expect_failed(failed, path_ + "/one", "File too large");
  EXPECT_EQ(file->bytes(), 5u);
  expect_failed(file->append(as_bytes("again")), path_ + "/one", "File too large");
  EXPECT_TRUE(file->sync().ok());  // for what was taken before
  const auto opened = folder->open("one");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->bytes(), 100'000u);  // written in part
  EXPECT_EQ(content(**opened).substr(0, 5), "first");
}

TEST_P(FoldersOfAFileSystem, TellThatTheDiskIsFull) {
  fs::create_directory(path_);
  if (::mount("tmpfs", path_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=256k,mode=0700") != 0) {
    GTEST_SKIP() << "no file system can be mounted here";
  }
  auto folder = locked();
  EXPECT_EQ(::umount2(path_.c_str(), MNT_DETACH), 0);  // it lives on while we hold it
  const auto free = folder->free_bytes();
  ASSERT_TRUE(free.ok());
  EXPECT_GT(*free, 100'000u);
  EXPECT_LE(*free, 256u * 1024);
  const auto file = create(*folder, "one", "first");
  expect_failed(file->append(some_bytes(74, 300'000)), path_ + "/one", "No space left on device", Fault::kStoreFull);
  EXPECT_EQ(*folder->free_bytes(), 0u);
  EXPECT_TRUE(file->sync().ok());
  EXPECT_TRUE(folder->remove("one").ok());
}

}  // namespace
}  // namespace zferry::io::contract
