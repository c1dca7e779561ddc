#include "io/posix_folder_file.h"

#include <unistd.h>

#include <cerrno>
#include <limits>

#include "io/folder_rules.h"

namespace zferry::io {

static_assert(sizeof(off_t) == 8, "files of a store may be longer than 2 GiB");

Status PosixFolderFile::append(ConstBytes from) {
  ZF_ASSERT(may_append_);
  if (sync_failed_) return *sync_failed_;
  if (append_failed_) return *append_failed_;
  std::uint64_t at = bytes_;
  while (!from.empty()) {
    const ssize_t written = ::pwrite(fd_.get(), from.data(), from.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      append_failed_ = folder_error("append to " + path_, written < 0 ? errno : EIO);
      return *append_failed_;
    }
    from = from.subspan(static_cast<std::size_t>(written));
    at += static_cast<std::uint64_t>(written);
  }
  bytes_ = at;
  return {};
}

Result<std::size_t> PosixFolderFile::read(std::uint64_t at, Bytes into) {
  if (at > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) - into.size()) return std::size_t{0};
  std::size_t count = 0;
  while (count < into.size()) {
    const ssize_t taken = ::pread(fd_.get(), into.data() + count, into.size() - count, static_cast<off_t>(at + count));
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return folder_error("read " + path_, errno);
    if (taken == 0) break;
    count += static_cast<std::size_t>(taken);
  }
  return count;
}

Status PosixFolderFile::sync() {
  // The system tells of a lost page once: a second call would succeed, and lie.
  if (sync_failed_) return *sync_failed_;
  int result = 0;
  do {
    result = ::fdatasync(fd_.get());
  } while (result != 0 && errno == EINTR);
  if (result == 0) return {};
  sync_failed_ = folder_error("sync " + path_, errno);
  return *sync_failed_;
}

}  // namespace zferry::io
