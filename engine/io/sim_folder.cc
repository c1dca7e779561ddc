#include "io/sim_folder.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/folder_rules.h"

namespace zferry::io {

using Kind = SimFolderCallKind;
using Moment = SimFolderCall::Moment;

Status SimFolderCalls::alive() const {
  if (life_->alive) return {};
  return Error{Fault::kStoreFailed, path_ + ": this host has crashed", ""};
}

Result<int> SimFolderCalls::begin(Kind kind, const std::string& name) {
  if (Status status = alive(); !status.ok()) return status.take_error();
  const int error_number = disk_.count(kind);
  disk_.tell(kind, Moment::kBefore, name);
  if (Status status = alive(); !status.ok()) return status.take_error();
  return error_number == 0 && kind != Kind::kLock && !folder().made ? ENOENT : error_number;
}

Status SimFolderCalls::amid(Kind kind, const std::string& name) {
  disk_.tell(kind, Moment::kAmid, name);
  return alive();
}

Status SimFolderCalls::end(Kind kind, const std::string& name, int error_number) {
  core_.trace("%s: %s %s %s%s", life_->host.c_str(), name_of(kind), path_.c_str(), name.c_str(),
              error_number == 0 ? "" : " fails");
  disk_.tell(kind, Moment::kAfter, name);
  if (Status status = alive(); !status.ok()) return status;
  if (error_number != 0) return error(kind, name, error_number);
  return {};
}

Error SimFolderCalls::error(Kind kind, const std::string& name, int error_number) const {
  return folder_error(std::string(name_of(kind)) + " " + path_ + (name.empty() ? "" : "/" + name), error_number);
}

namespace {

class SimFolderFile final : public FolderFile {
 public:
  SimFolderFile(const SimFolderCalls& calls, std::shared_ptr<SimDiskFile> file, std::string name, bool may_append)
      : calls_(calls),
        file_(std::move(file)),
        name_(std::move(name)),
        may_append_(may_append),
        bytes_(file_->content().size()) {}
  Status append(ConstBytes from) override;
  Result<std::size_t> read(std::uint64_t at, Bytes into) override;
  Status sync() override;
  std::uint64_t bytes() const override { return bytes_; }

 private:
  SimFolderCalls calls_;
  std::shared_ptr<SimDiskFile> file_;
  std::string name_;
  bool may_append_;
  std::uint64_t bytes_;
  std::optional<Error> append_failed_;
  std::optional<Error> sync_failed_;
};

Status SimFolderFile::append(ConstBytes from) {
  ZF_ASSERT(may_append_);
  if (sync_failed_) return *sync_failed_;
  if (append_failed_) return *append_failed_;
  const auto begun = calls_.begin(Kind::kAppend, name_);
  if (!begun.ok()) return begun.error();
  int error_number = *begun;
  std::uint64_t count = from.size();
  if (error_number != 0) count = calls_.random().below(count + 1);
  if (const std::uint64_t room = calls_.disk().free_bytes(); count > room) {
    count = room;
    error_number = ENOSPC;
  }
  const std::size_t first = calls_.random().below(count + 1);
  file_->append(from.first(first));
  if (Status status = calls_.amid(Kind::kAppend, name_); !status.ok()) return status;
  file_->append(from.subspan(first, count - first), first > 0);
  Status status = calls_.end(Kind::kAppend, name_, error_number);
  if (status.ok()) {
    bytes_ += count;
  } else {
    append_failed_ = status.error();
  }
  return status;
}

Result<std::size_t> SimFolderFile::read(std::uint64_t at, Bytes into) {
  const auto begun = calls_.begin(Kind::kRead, name_);
  if (!begun.ok()) return begun.error();
  std::size_t count = 0;
  if (*begun == 0 && at < file_->content().size()) {
    count = std::min<std::size_t>(into.size(), file_->content().size() - at);
    std::copy_n(file_->content().begin() + static_cast<std::ptrdiff_t>(at), count, into.begin());
  }
  if (Status status = calls_.end(Kind::kRead, name_, *begun); !status.ok()) return status.take_error();
  return count;
}

Status SimFolderFile::sync() {
  if (sync_failed_) return *sync_failed_;
  const auto begun = calls_.begin(Kind::kSyncFile, name_);
  if (!begun.ok()) return begun.error();
  if (*begun == 0) {
    file_->sync();
  } else {
    file_->fail_sync(calls_.random(), calls_.disk().remains());
  }
  Status status = calls_.end(Kind::kSyncFile, name_, *begun);
  if (!status.ok()) sync_failed_ = status.error();
  return status;
}

}  // namespace

SimFolder::~SimFolder() {
  if (locked_ && calls_.life()->alive) calls_.folder().holder = nullptr;
}

Status SimFolder::lock() {
  ZF_ASSERT(!locked_);
  const auto begun = calls_.begin(Kind::kLock);
  if (!begun.ok()) return begun.error();
  SimDiskFolder& folder = calls_.folder();
  const bool taken = folder.holder && folder.holder->alive;
  if (*begun == 0) folder.made = true;
  if (*begun == 0 && !taken) {
    folder.holder = calls_.life();
    locked_ = true;
  }
  Status status = calls_.end(Kind::kLock, {}, *begun);
  if (!status.ok() || !taken) return status;
  return Error{Fault::kBusy, "lock " + path() + ": in use by another process",
               "wait for that process to end, or give this one a folder of its own"};
}

Result<std::vector<FolderEntry>> SimFolder::list() {
  const auto begun = calls_.begin(Kind::kList);
  if (!begun.ok()) return begun.error();
  std::vector<FolderEntry> entries;
  for (const auto& [name, file] : calls_.folder().names()) entries.push_back({name, file->content().size()});
  if (Status status = calls_.end(Kind::kList, {}, *begun); !status.ok()) return status.take_error();
  return entries;
}

Result<std::unique_ptr<FolderFile>> SimFolder::create(const std::string& name) {
  ZF_ASSERT(is_folder_name(name));
  const auto begun = calls_.begin(Kind::kCreate, name);
  if (!begun.ok()) return begun.error();
  ZF_ASSERT(locked_);
  const int error_number = *begun == 0 && calls_.folder().names().contains(name) ? EEXIST : *begun;
  auto file = std::make_shared<SimDiskFile>();
  if (error_number == 0) calls_.folder().change({}, name, file, calls_.disk().remains());
  if (Status status = calls_.end(Kind::kCreate, name, error_number); !status.ok()) return status.take_error();
  return std::unique_ptr<FolderFile>(std::make_unique<SimFolderFile>(calls_, std::move(file), name, true));
}

Result<std::unique_ptr<FolderFile>> SimFolder::open(const std::string& name) {
  ZF_ASSERT(is_folder_name(name));
  const auto begun = calls_.begin(Kind::kOpen, name);
  if (!begun.ok()) return begun.error();
  const auto found = calls_.folder().names().find(name);
  const int error_number = *begun == 0 && found == calls_.folder().names().end() ? ENOENT : *begun;
  const auto file = error_number == 0 ? found->second : nullptr;
  if (Status status = calls_.end(Kind::kOpen, name, error_number); !status.ok()) return status.take_error();
  return std::unique_ptr<FolderFile>(std::make_unique<SimFolderFile>(calls_, file, name, false));
}

Status SimFolder::rename(const std::string& from, const std::string& to) {
  ZF_ASSERT(is_folder_name(from) && is_folder_name(to));
  const auto begun = calls_.begin(Kind::kRename, from);
  if (!begun.ok()) return begun.error();
  ZF_ASSERT(locked_);
  const auto found = calls_.folder().names().find(from);
  const int error_number = *begun == 0 && found == calls_.folder().names().end() ? ENOENT : *begun;
  if (error_number == 0 && from != to) {
    const auto file = found->second;
    calls_.folder().change(from, to, file, calls_.disk().remains());
  }
  return calls_.end(Kind::kRename, from, error_number);
}

Status SimFolder::remove(const std::string& name) {
  ZF_ASSERT(is_folder_name(name));
  const auto begun = calls_.begin(Kind::kRemove, name);
  if (!begun.ok()) return begun.error();
  ZF_ASSERT(locked_);
  const auto found = calls_.folder().names().find(name);
  if (*begun == 0 && found != calls_.folder().names().end()) {
    const auto file = found->second;
    calls_.folder().change(name, {}, file, calls_.disk().remains());
  }
  return calls_.end(Kind::kRemove, name, *begun);
}

Status SimFolder::sync() {
  if (sync_failed_) return *sync_failed_;
  const auto begun = calls_.begin(Kind::kSyncFolder);
  if (!begun.ok()) return begun.error();
  ZF_ASSERT(locked_);
  if (*begun == 0) calls_.folder().sync();
  Status status = calls_.end(Kind::kSyncFolder, {}, *begun);
  if (!status.ok()) sync_failed_ = status.error();
  return status;
}

Result<std::uint64_t> SimFolder::free_bytes() {
  const auto begun = calls_.begin(Kind::kFreeBytes);
  if (!begun.ok()) return begun.error();
  const std::uint64_t bytes = calls_.disk().free_bytes();
  if (Status status = calls_.end(Kind::kFreeBytes, {}, *begun); !status.ok()) return status.take_error();
  return bytes;
}

}  // namespace zferry::io
