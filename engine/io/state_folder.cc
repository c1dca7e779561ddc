#include "io/state_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "io/durable.h"

namespace zferry::io {

namespace {

constexpr std::size_t kRecordBytesMax = 64 * limits::KiB;
constexpr std::size_t kNameBytesMax = 100;

bool is_name(const std::string& name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  // None may begin with a dot: temporary files do, and so do the folder itself and its parent.
  return !name.empty() && name.size() <= kNameBytesMax && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

Error failed(const std::string& what, int error_number) {
  Error error = errno_error(Fault::kStateFailed, what, error_number);
  error.next = "see to the folder's space and permissions, or choose another with --state FOLDER";
  return error;
}

}  // namespace

std::string PosixStateFolder::path_of(const std::string& name) const {
  ZF_ASSERT(is_name(name));  // names are ours, whatever they were derived from
  return folder_ + "/" + name;
}

Status PosixStateFolder::prepare() {
  if (folder_.empty()) return Error{Fault::kStateFailed, "no state folder is configured", "give --state FOLDER"};
  for (std::size_t at = folder_.find('/', 1);; at = folder_.find('/', at + 1)) {
    const std::string part = folder_.substr(0, at);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      const int error_number = errno;
      struct stat facts;  // some systems say EROFS or EACCES of a folder that is there
      if (::stat(part.c_str(), &facts) != 0) return failed("make the state folder " + part, error_number);
    }
    if (at == std::string::npos) break;
  }
  const std::string probe = "probe." + std::to_string(::getpid());  // of another process: another name
  if (auto saved = save(probe, as_bytes("probe")); !saved.ok()) return saved;
  return remove(probe);
}

Result<std::optional<std::vector<std::byte>>> PosixStateFolder::load(const std::string& name) {
  const std::string path = path_of(name);
  const std::string what = "read " + path;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::optional<std::vector<std::byte>>{};
  if (!fd) return failed(what, errno);
  std::vector<std::byte> record(kRecordBytesMax + 1);
  std::size_t bytes = 0;
  while (bytes < record.size()) {
    const ssize_t taken = ::read(fd.get(), record.data() + bytes, record.size() - bytes);
    if (taken < 0 && errno == EINTR) continue;
    if (taken < 0) return failed(what, errno);
    if (taken == 0) break;
    bytes += static_cast<std::size_t>(taken);
  }
  if (bytes > kRecordBytesMax)
    return Error{Fault::kStateFailed, what + ": longer than any record",
                 "look at that file: zferry did not write it so"};
  record.resize(bytes);
  return std::optional(std::move(record));
}

Status PosixStateFolder::save(const std::string& name, ConstBytes record) {
  ZF_ASSERT(record.size() <= kRecordBytesMax);
  const std::string path = path_of(name);
  const std::string what = "write " + path;
  const TemporaryFile file = create_temporary(path);
  if (!file.fd) return failed(what, errno);
  if (const int error_number = write_all(file.fd.get(), record); error_number != 0) {
    ::unlink(file.path.c_str());
    return failed(what, error_number);
  }
  if (const int error_number = commit_temporary(file.fd.get(), file.path, path); error_number != 0) {
    return failed(what, error_number);
  }
  return {};
}

Status PosixStateFolder::remove(const std::string& name) {
  const std::string path = path_of(name);
  if (::unlink(path.c_str()) != 0) return errno == ENOENT ? Status{} : failed("remove " + path, errno);
  if (const int error_number = sync_folder(folder_); error_number != 0) return failed("remove " + path, error_number);
  return {};
}

}  // namespace zferry::io
