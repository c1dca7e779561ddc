// A folder for one test, gone with it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace zferry::testing {

class Folder {
 public:
  Folder() {
    std::string path = (std::filesystem::temp_directory_path() / "zferry-test-XXXXXX").string();
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  // Gives the file's path.
  std::string write(const std::string& name, const std::string& content, mode_t mode = 0600) const {
    std::ofstream(path(name), std::ios::binary) << content;
    EXPECT_EQ(chmod(path(name).c_str(), mode), 0);
    return path(name);
  }

 private:
  std::string path_;
};

}  // namespace zferry::testing
