#include "io/durable.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace zferry::io {

namespace {
constexpr std::size_t kTemporaryNameBytesMax = 200;  // of the final name in the temporary one: file names end at 255
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

TemporaryFile create_temporary(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::size_t name_at = slash == std::string::npos ? 0 : slash + 1;
  TemporaryFile file;
  file.path = path.substr(0, name_at) + "." + path.substr(name_at, kTemporaryNameBytesMax) + ".zferry-XXXXXX";
  file.fd.reset(::mkostemp(file.path.data(), O_CLOEXEC));
  return file;
}

int write_all(int fd, ConstBytes from) {
  while (!from.empty()) {
    const ssize_t written = ::write(fd, from.data(), from.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    from = from.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

int commit_temporary(int fd, const std::string& temporary, const std::string& path) {
  int error_number = ::fsync(fd) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
  if (error_number != 0) {
    ::unlink(temporary.c_str());
    return error_number;
  }
  return sync_folder(folder_of(path));
}

int sync_folder(const std::string& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno;
  // Some network file systems have no fsync for folders; there, nothing more can be done.
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS) return errno;
  return 0;
}

}  // namespace zferry::io
