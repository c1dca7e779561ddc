#include "io/posix_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <utility>

#include "io/durable.h"
#include "io/folder_rules.h"
#include "io/posix_folder_file.h"

namespace zferry::io {

namespace {

constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;

int retry(auto call) {
  int result = 0;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// What the holder of the lock wrote down; nothing where that cannot be read.
std::string holder(int fd) {
  char text[16] = {};
  const ssize_t count = ::pread(fd, text, sizeof text - 1, 0);
  std::string number;
  for (ssize_t at = 0; at < count && text[at] >= '0' && text[at] <= '9'; ++at) number += text[at];
  return number;
}

}  // namespace

PosixFolder::PosixFolder(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
}

std::string PosixFolder::words(const char* verb) const { return std::string(verb) + " " + escaped(path_); }
std::string PosixFolder::words(const char* verb, const std::string& name) const { return words(verb) + "/" + name; }

Status PosixFolder::make() {
  if (path_.empty()) return Error{Fault::kStoreFailed, "no folder was given for the store", "give --store FOLDER"};
  if (::mkdir(path_.c_str(), 0700) != 0) {
    struct stat facts {};  // some systems say EROFS or EACCES of a folder that is there
    const int error_number = errno;
    if (::stat(path_.c_str(), &facts) != 0) return folder_error(words("make the folder"), error_number);
    return {};
  }
  if (const int error_number = sync_folder(folder_of(path_)); error_number != 0) {
    return folder_error(words("make the folder"), error_number);
  }
  return {};
}

Status PosixFolder::find() {
  if (folder_) return {};
  UniqueFd fd(retry([&] { return ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  struct stat facts {};
  if (!fd || ::fstat(fd.get(), &facts) != 0) return folder_error(words("open the folder"), errno);
  if (facts.st_uid != ::geteuid()) {
    return Error{Fault::kStoreFailed, words("use the folder") + ": it belongs to another user",
                 "run as its owner, or give a folder of your own"};
  }
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error{Fault::kStoreFailed, words("use the folder") + ": others may write to it",
                 "give the store a folder of its own; where this is one: chmod 700 " + escaped(path_)};
  }
  folder_ = std::move(fd);
  return {};
}

Status PosixFolder::lock() {
  ZF_ASSERT(!lock_);
  if (Status made = make(); !made.ok()) return made;
  if (Status found = find(); !found.ok()) return found;
  UniqueFd fd(
      retry([&] { return ::openat(folder_.get(), kFolderLockName, O_RDWR | O_CREAT | O_NONBLOCK | kFlags, 0600); }));
  if (!fd) return folder_error(words("lock", kFolderLockName), errno);
  return take(std::move(fd));
}

Status PosixFolder::take(UniqueFd fd) {
  if (retry([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return folder_error(words("lock", kFolderLockName), errno);
    const std::string number = holder(fd.get());
    return Error{Fault::kBusy,
                 words("lock") + ": in use by " + (number.empty() ? "another process" : "process " + number),
                 "wait for that process to end, or give this one a folder of its own"};
  }
  // For the words above; that it fails (a full disk) changes nothing.
  const std::string number = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(fd.get(), number.data(), number.size(), 0);
  }
  lock_ = std::move(fd);
  return {};
}

Result<std::vector<FolderEntry>> PosixFolder::list() {
  if (Status found = find(); !found.ok()) return found.take_error();
  UniqueFd fd(retry([&] { return ::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd) return folder_error(words("list"), errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(fd.get()), &::closedir);
  if (!entries) return folder_error(words("list"), errno);
  fd.release();
  std::vector<FolderEntry> files;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(entries.get());
    if (entry == nullptr && errno != 0) return folder_error(words("list"), errno);
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    struct stat facts {};
    if (!is_folder_name(name)) continue;  // "lost+found", an editor's: not ours
    if (::fstatat(folder_.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // another process has the lock, and has just removed it
      return folder_error(words("list", name), errno);
    }
    if (S_ISREG(facts.st_mode)) files.push_back({name, static_cast<std::uint64_t>(facts.st_size)});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

Result<std::unique_ptr<FolderFile>> PosixFolder::create(const std::string& name) {
  ZF_ASSERT(lock_ && is_folder_name(name));
  UniqueFd fd(retry([&] { return ::openat(folder_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | kFlags, 0600); }));
  if (!fd) return folder_error(words("create", name), errno);
  return std::unique_ptr<FolderFile>(
      std::make_unique<PosixFolderFile>(std::move(fd), escaped(path_) + "/" + name, 0, true));
}

Result<std::unique_ptr<FolderFile>> PosixFolder::open(const std::string& name) {
  ZF_ASSERT(is_folder_name(name));
  if (Status found = find(); !found.ok()) return found.take_error();
  // O_NONBLOCK: what was planted may be a pipe.
  UniqueFd fd(retry([&] { return ::openat(folder_.get(), name.c_str(), O_RDONLY | O_NONBLOCK | kFlags); }));
  struct stat facts {};
  if (!fd || ::fstat(fd.get(), &facts) != 0) return folder_error(words("open", name), errno);
  if (!S_ISREG(facts.st_mode)) {
    return Error{Fault::kStoreFailed, words("open", name) + ": not a regular file",
                 "look at it: zferry did not make it"};
  }
  return std::unique_ptr<FolderFile>(std::make_unique<PosixFolderFile>(
      std::move(fd), escaped(path_) + "/" + name, static_cast<std::uint64_t>(facts.st_size), false));
}

Status PosixFolder::rename(const std::string& from, const std::string& to) {
  ZF_ASSERT(lock_ && is_folder_name(from) && is_folder_name(to));
  if (::renameat(folder_.get(), from.c_str(), folder_.get(), to.c_str()) == 0) return {};
  return folder_error(words("rename", from) + " to " + to, errno);
}

Status PosixFolder::remove(const std::string& name) {
  ZF_ASSERT(lock_ && is_folder_name(name));
  if (::unlinkat(folder_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return folder_error(words("remove", name), errno);
}

Status PosixFolder::sync() {
  ZF_ASSERT(lock_);
  if (sync_failed_) return *sync_failed_;
  if (retry([&] { return ::fsync(folder_.get()); }) == 0) return {};
  if (errno == EINVAL) return {};  // some network file systems have no fsync for folders; nothing more can be done
  sync_failed_ = folder_error(words("sync"), errno);
  return *sync_failed_;
}

Result<std::uint64_t> PosixFolder::free_bytes() {
  if (Status found = find(); !found.ok()) return found.take_error();
  struct statvfs facts {};
  if (retry([&] { return ::fstatvfs(folder_.get(), &facts); }) != 0) return folder_error(words("look at"), errno);
  const std::uint64_t bytes_each = std::max<std::uint64_t>(facts.f_frsize, 1);
  const std::uint64_t blocks_max = std::numeric_limits<std::uint64_t>::max() / bytes_each;
  return std::min<std::uint64_t>(facts.f_bavail, blocks_max) * bytes_each;
}

}  // namespace zferry::io
