// The contract of io/files.h: output files and the state folder.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "contract/host_under_test.h"
#include "contract/pump.h"

namespace zferry::io::contract {
namespace {

namespace fs = std::filesystem;

class FileContract : public Contract {
 protected:
  void SetUp() override {
    if (!GetParam().real) GTEST_SKIP() << "no file system";
    Contract::SetUp();
  }
  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void make_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  std::unique_ptr<OutputFile> create(const std::string& path) {
    auto file = host_->files().create(path);
    EXPECT_TRUE(file.ok()) << (file.ok() ? "" : file.error().what);
    return file.ok() ? std::move(*file) : nullptr;
  }
  SizeOutcome write(OutputFile& file, ConstBytes bytes) {
    SizeOutcome written;
    file.stream().write(bytes, written.done());
    EXPECT_EQ(written.calls, 0);
    serve_until([&] { return written.calls > 0; });
    return written;
  }
  StatusOutcome commit(OutputFile& file) {
    StatusOutcome committed;
    file.commit(committed.done());
    EXPECT_EQ(committed.calls, 0);
    serve_until([&] { return committed.calls > 0; });
    return committed;
  }
};

class OutputFiles : public FileContract {};
ZF_ON_EVERY_BACK_END(OutputFiles);

TEST_P(OutputFiles, AppearWholeWhenTheyAreCommitted) {
  const std::string path = folder_ + "/stream";
  const auto bytes = some_bytes(31, 5'000'000);
  const auto file = create(path);
  Pump pump(file->stream(), bytes, 32, 2'000'000);
  pump.start();
  serve_until([&] { return pump.over(); });
  EXPECT_FALSE(pump.failed());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(commit(*file).ok());
  EXPECT_EQ(content(path), as_text(bytes));
  EXPECT_EQ(entries(), 1U);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0666U & ~mask);
}

TEST_P(OutputFiles, LeaveWhatWasThereUntilTheyAreCommitted) {
  const std::string path = folder_ + "/stream";
  make_file(path, "before");
  auto file = create(path);
  EXPECT_TRUE(write(*file, as_bytes("after")).ok());
  EXPECT_EQ(content(path), "before");
  EXPECT_EQ(entries(), 2U);
  file.reset();  // abandoned
  EXPECT_EQ(content(path), "before");
  EXPECT_EQ(entries(), 1U);
  file = create(path);
  EXPECT_TRUE(write(*file, as_bytes("after")).ok());
  EXPECT_TRUE(commit(*file).ok());
  file.reset();
  EXPECT_EQ(content(path), "after");
  EXPECT_EQ(entries(), 1U);
}

TEST_P(OutputFiles, ReplaceTheFileBehindALink) {
  fs::create_directory(folder_ + "/real");
  make_file(folder_ + "/real/file", "before");
  fs::create_symlink("real/file", folder_ + "/link");
  const auto file = create(folder_ + "/link");
  EXPECT_TRUE(write(*file, as_bytes("after")).ok());
  EXPECT_TRUE(commit(*file).ok());
  EXPECT_TRUE(fs::is_symlink(folder_ + "/link"));
  EXPECT_EQ(content(folder_ + "/real/file"), "after");
}

TEST_P(OutputFiles, CannotBeWhereAFolderIsOrNoFolderIs) {
  for (const std::string& path : {folder_, folder_ + "/none/stream", folder_ + "/stream/", std::string()}) {
    const auto file = host_->files().create(path);
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.error().fault, Fault::kOutputFailed);
  }
  EXPECT_NE(host_->files().create(folder_).error().what.find("Is a directory"), std::string::npos);
}

TEST_P(OutputFiles, TellThatTheDeviceIsFull) {
  const auto file = create("/dev/full");
  const auto written = write(*file, as_bytes("something"));
  EXPECT_EQ(written.fault(), Fault::kOutputFailed);
  EXPECT_EQ(written.what(), "write to /dev/full: No space left on device");
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_P(OutputFiles, MayBeDevicesWhichStayWhatTheyAre) {
  const auto file = create("/dev/null");
  EXPECT_TRUE(write(*file, some_bytes(33, 100'000)).ok());
  EXPECT_TRUE(commit(*file).ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_P(OutputFiles, MayBeNamedPipesThatSomebodyReads) {
  const std::string path = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto refused = host_->files().create(path);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kOutputFailed);
  const auto reader = host_->processes().spawn({"cat", path}, PipeEnd::kItsOutput);
  ASSERT_TRUE(reader.ok());
  std::unique_ptr<OutputFile> file;
  serve_until([&] {
    auto tried = host_->files().create(path);
    if (tried.ok()) file = std::move(*tried);
    return file != nullptr;
  });
  const auto bytes = some_bytes(34, 500'000);
  SizeOutcome written;
  file->stream().write(bytes, written.done());
  std::vector<std::byte> all(bytes.size());
  Drain drain((*reader)->pipe(), bytes, 35, 100'000);
  drain.start();
  serve_until([&] { return written.calls > 0; });
  EXPECT_TRUE(commit(*file).ok());
  file.reset();
  serve_until([&] { return drain.over(); });
  EXPECT_EQ(drain.equal_bytes(), bytes.size());
}

TEST_P(OutputFiles, TellThatTheCommitFailed) {
  const std::string path = folder_ + "/stream";
  const auto file = create(path);
  EXPECT_TRUE(write(*file, as_bytes("text")).ok());
  fs::create_directories(path + "/in-the-way");  // a folder that came meanwhile
  const auto committed = commit(*file);
  EXPECT_EQ(committed.fault(), Fault::kOutputFailed);
  EXPECT_EQ(entries(), 1U);  // no temporary file is left
}

TEST_P(OutputFiles, GoneWhileTheCommitRunsNothingIsCalled) {
  const std::string path = folder_ + "/stream";
  auto file = create(path);
  EXPECT_TRUE(write(*file, as_bytes("text")).ok());
  int calls = 0;
  file->commit([&](Status) { ++calls; });
  file.reset();
  serve_until([&] { return fs::exists(path); });
  serve_a_while();
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(content(path), "text");
}

class StateFolders : public FileContract {
 protected:
  std::string load(const std::string& name) {
    const auto record = host_->files().state().load(name);
    EXPECT_TRUE(record.ok());
    if (!record.ok() || !record->has_value()) return "nothing";
    return std::string(as_text(**record));
  }
};
ZF_ON_EVERY_BACK_END(StateFolders);

TEST_P(StateFolders, KeepRecords) {
  StateFolder& state = host_->files().state();
  ASSERT_TRUE(state.prepare().ok());
  struct stat facts {};
  ASSERT_EQ(::stat((folder_ + "/state").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700U);
  EXPECT_EQ(load("one"), "nothing");
  EXPECT_TRUE(state.save("one", as_bytes("first")).ok());
  EXPECT_TRUE(state.save("done.0-1", {}).ok());
  EXPECT_EQ(load("one"), "first");
  EXPECT_EQ(load("done.0-1"), "");
  EXPECT_TRUE(state.save("one", as_bytes("second")).ok());
  EXPECT_EQ(load("one"), "second");
  EXPECT_TRUE(state.remove("one").ok());
  EXPECT_TRUE(state.remove("one").ok());
  EXPECT_EQ(load("one"), "nothing");
  const auto big = some_bytes(36, 64 * 1024);
  EXPECT_TRUE(state.save("big", big).ok());
  EXPECT_EQ(load("big"), as_text(big));
  EXPECT_TRUE(state.prepare().ok());  // again: nothing is lost, nothing is left behind
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ + "/state"), fs::directory_iterator()), 2);
}

TEST_P(StateFolders, RefuseARecordLongerThanAny) {
  StateFolder& state = host_->files().state();
  ASSERT_TRUE(state.prepare().ok());
  make_file(folder_ + "/state/planted", std::string(64 * 1024 + 1, 'x'));
  const auto record = state.load("planted");
  ASSERT_FALSE(record.ok());
  EXPECT_EQ(record.error().fault, Fault::kStateFailed);
}

TEST_P(StateFolders, SayThatTheyCannotBeMade) {
  make_file(folder_ + "/state", "a file in the way");
  StateFolder& state = host_->files().state();
  const auto prepared = state.prepare();
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().fault, Fault::kStateFailed);
  EXPECT_EQ(state.save("one", as_bytes("x")).error().fault, Fault::kStateFailed);
  EXPECT_EQ(state.load("one").error().fault, Fault::kStateFailed);
}

}  // namespace
}  // namespace zferry::io::contract
