#include "io/durable.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace zferry::io {
namespace {

namespace fs = std::filesystem;

class Durable : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(folder_), nullptr); }
  void TearDown() override { fs::remove_all(folder_); }
  char folder_[32] = "/tmp/zferry-durable-XXXXXX";
};

TEST_F(Durable, FoldersOfPaths) {
  EXPECT_EQ(folder_of("/a/b/c"), "/a/b");
  EXPECT_EQ(folder_of("c"), ".");
  EXPECT_EQ(folder_of("/c"), "/");
}

TEST_F(Durable, TemporaryFilesLieBesideTheirFinalPlaceForTheirOwnerAlone) {
  const std::string path = std::string(folder_) + "/" + std::string(255, 'n');  // as long as a name can be
  const TemporaryFile file = create_temporary(path);
  ASSERT_TRUE(file.fd);
  EXPECT_EQ(folder_of(file.path), folder_);
  struct stat facts {};
  ASSERT_EQ(::stat(file.path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  EXPECT_EQ(write_all(file.fd.get(), as_bytes("text")), 0);
  EXPECT_EQ(commit_temporary(file.fd.get(), file.path, path), 0);
  EXPECT_EQ(fs::file_size(path), 4U);
  EXPECT_FALSE(fs::exists(file.path));
}

TEST_F(Durable, FailuresAreToldAndLeaveNothing) {
  EXPECT_FALSE(create_temporary(std::string(folder_) + "/none/file").fd);
  EXPECT_EQ(errno, ENOENT);
  const TemporaryFile file = create_temporary(std::string(folder_) + "/file");
  EXPECT_EQ(commit_temporary(file.fd.get(), file.path, std::string(folder_) + "/none/file"), ENOENT);
  EXPECT_FALSE(fs::exists(file.path));
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(write_all(full.get(), as_bytes("text")), ENOSPC);
  EXPECT_EQ(sync_folder(std::string(folder_) + "/none"), ENOENT);
}

}  // namespace
}  // namespace zferry::io
