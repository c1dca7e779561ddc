#include "unit/store/memory_folder.h"

#include <algorithm>

#include "io/folder_rules.h"

namespace zferry::store {

void MemoryDisk::apply(const Change& change, Files& files) {
  if (!change.from.empty()) files.erase(change.from);
  if (!change.to.empty()) files[change.to] = change.file;
}

void MemoryDisk::change(Change change) {
  apply(change, files);
  changes_.push_back(std::move(change));
}

void MemoryDisk::crash(Tail tail, Changes changes, SeededRandom& random) {
  for (const Change& change : changes_)
    if (changes == Changes::kKept || (changes == Changes::kSome && random.chance(0.5))) apply(change, synced_files_);
  changes_.clear();
  files = synced_files_;
  for (auto& [name, file] : files) {
    std::vector<std::byte>& content = file->content;
    const std::size_t unsynced = content.size() - file->synced;
    if (tail == Tail::kLost) content.resize(file->synced);
    if (tail == Tail::kTorn) content.resize(file->synced + random.below(unsynced + 1));
    // Its length was written, its bytes were not; or some other file's bytes stand there.
    const auto from = file->synced + (unsynced > 0 ? random.below(unsynced) : 0);
    if (tail == Tail::kZeros)
      std::fill(content.begin() + static_cast<std::ptrdiff_t>(from), content.end(), std::byte{0});
    if (tail == Tail::kGarbage) random.fill(Bytes(content).subspan(from));
    file->synced = content.size();
  }
  fault = nullptr;
}

std::uint64_t MemoryDisk::used_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [name, file] : files) sum += file->content.size();
  return sum;
}

class MemoryFolderFile final : public io::FolderFile {
 public:
  MemoryFolderFile(MemoryDisk& disk, std::shared_ptr<MemoryFile> file, std::string name, bool may_append)
      : folder_(disk), disk_(disk), file_(std::move(file)), name_(std::move(name)), may_append_(may_append) {}

  Status append(ConstBytes bytes) override {
    ZF_ASSERT(may_append_ && !torn_);
    if (disk_.used_bytes() + bytes.size() > limit()) return torn(bytes, io::folder_error("append to " + name_, ENOSPC));
    if (Status status = folder_.count("append " + name_); !status) return torn(bytes, status.take_error());
    if (file_->content.empty()) disk_.headers.emplace_back(bytes.begin(), bytes.end());
    file_->content.insert(file_->content.end(), bytes.begin(), bytes.end());
    return {};
  }
  Result<std::size_t> read(std::uint64_t at, Bytes into) override {
    if (at >= file_->content.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(into.size(), file_->content.size() - at);
    std::copy_n(file_->content.begin() + static_cast<std::ptrdiff_t>(at), count, into.begin());
    return count;
  }
  Status sync() override {
    if (Status status = folder_.count("sync " + name_); !status) return status;
    file_->synced = file_->content.size();
    return {};
  }
  std::uint64_t bytes() const override { return file_->content.size(); }

 private:
  std::uint64_t limit() const { return disk_.used_bytes() + disk_.free_bytes; }
  Status torn(ConstBytes bytes, Error error) {
    torn_ = true;
    const ConstBytes part = bytes.first(bytes.size() / 2);
    file_->content.insert(file_->content.end(), part.begin(), part.end());
    return error;
  }

  MemoryFolder folder_;
  MemoryDisk& disk_;
  std::shared_ptr<MemoryFile> file_;
  std::string name_;
  bool may_append_;
  bool torn_ = false;
};

Status MemoryFolder::count(const std::string& what) {
  ++disk_.calls;
  disk_.log.push_back(what);
  if (disk_.fault)
    if (auto error = disk_.fault(disk_.calls, what)) return *error;
  return {};
}

Result<std::vector<io::FolderEntry>> MemoryFolder::list() {
  std::vector<io::FolderEntry> entries;
  for (const auto& [name, file] : disk_.files) entries.push_back({name, file->content.size()});
  return entries;
}

Result<std::unique_ptr<io::FolderFile>> MemoryFolder::create(const std::string& name) {
  ZF_ASSERT(io::is_folder_name(name));
  if (Status status = count("create " + name); !status) return status.take_error();
  if (disk_.files.contains(name)) return io::folder_error("create " + name, EEXIST);
  auto file = std::make_shared<MemoryFile>();
  disk_.change({{}, name, file});
  return std::unique_ptr<io::FolderFile>(new MemoryFolderFile(disk_, file, name, true));
}

Result<std::unique_ptr<io::FolderFile>> MemoryFolder::open(const std::string& name) {
  const auto found = disk_.files.find(name);
  if (found == disk_.files.end()) return io::folder_error("open " + name, ENOENT);
  return std::unique_ptr<io::FolderFile>(new MemoryFolderFile(disk_, found->second, name, false));
}

Status MemoryFolder::rename(const std::string& from, const std::string& to) {
  if (Status status = count("rename " + from + " to " + to); !status) return status;
  const auto found = disk_.files.find(from);
  if (found == disk_.files.end()) return io::folder_error("rename " + from, ENOENT);
  disk_.change({from, to, found->second});
  return {};
}

Status MemoryFolder::remove(const std::string& name) {
  if (Status status = count("remove " + name); !status) return status;
  if (disk_.files.contains(name)) disk_.change({name, {}, nullptr});
  return {};
}

Status MemoryFolder::sync() {
  if (Status status = count("sync folder"); !status) return status;
  disk_.synced_files_ = disk_.files;
  disk_.changes_.clear();
  return {};
}

}  // namespace zferry::store
