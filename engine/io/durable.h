// Files that appear whole or not at all: a temporary name in the same folder, fsync, rename, fsync of the folder. Any
// thread.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace zferry::io {

// "/a/b" of "/a/b/c", "." of "c", "/" of "/c".
std::string folder_of(const std::string& path);

struct TemporaryFile {
  UniqueFd fd;  // none where it could not be made; errno says why
  std::string path;
};
// In the folder of `path`, readable by its owner alone.
TemporaryFile create_temporary(const std::string& path);

// All of it, on a descriptor that blocks. The results here and below: 0, or errno's number.
int write_all(int fd, ConstBytes from);
// fsync, rename, fsync of the folder. On failure the temporary file is removed.
int commit_temporary(int fd, const std::string& temporary, const std::string& path);
int sync_folder(const std::string& folder);

}  // namespace zferry::io
