#include "io/sim_folder_disk.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace zferry::io {

const char* name_of(SimFolderCallKind kind) {
  static constexpr std::array<const char*, kSimFolderCallKinds> kNames = {
      "lock", "list", "create", "open", "append", "read", "sync", "rename", "remove", "sync folder", "free bytes"};
  return kNames[static_cast<std::size_t>(kind)];
}

void SimDiskFolder::apply(const Change& change, Names& names) {
  if (const auto from = names.find(change.from); from != names.end() && from->second == change.file) names.erase(from);
  if (!change.to.empty()) names[change.to] = change.file;
}

void SimDiskFolder::change(const std::string& from, const std::string& to, std::shared_ptr<SimDiskFile> file,
                           SimRemains& remains) {
  if (to.empty()) remains.add(file->content());
  if (const auto replaced = names_.find(to); replaced != names_.end()) remains.add(replaced->second->content());
  changes_.push_back({from, to, std::move(file)});
  apply(changes_.back(), names_);
}

void SimDiskFolder::sync() {
  synced_names_ = names_;
  changes_.clear();
}

void SimDiskFolder::lose_power(SeededRandom& random, SimRemains& remains) {
  holder = nullptr;
  if (!changes_.empty()) {
    enum class Mood : std::uint8_t { kNone, kAll, kFirstOnes, kAny };
    const auto mood = static_cast<Mood>(random.below(4));
    std::size_t left = mood == Mood::kNone        ? 0
                       : mood == Mood::kFirstOnes ? random.below(changes_.size() + 1)
                                                  : changes_.size();
    std::set<std::string> stopped;  // names of which a change did not happen: so no later one did
    for (const Change& change : changes_) {
      bool happens = left > 0 && (mood != Mood::kAny || random.chance(0.5));
      for (const std::string& name : {change.from, change.to}) happens &= name.empty() || !stopped.contains(name);
      if (left > 0) --left;
      if (happens) {
        apply(change, synced_names_);
      } else {
        stopped.insert({change.from, change.to});
      }
    }
    for (const auto& [name, file] : names_) {
      const auto is_it = [&file = file](const auto& entry) { return entry.second == file; };
      if (std::none_of(synced_names_.begin(), synced_names_.end(), is_it)) remains.add(file->content());
    }
    names_ = synced_names_;
    changes_.clear();
  }
  for (const auto& [name, file] : names_) file->lose_power(random, remains);
}

std::vector<std::byte>* SimFolderDisk::content(const std::string& folder, const std::string& name) {
  const auto found = folders_.find(folder);
  if (found == folders_.end()) return nullptr;
  const auto file = found->second.names().find(name);
  return file == found->second.names().end() ? nullptr : &file->second->content();
}

std::uint64_t SimFolderDisk::used_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, folder] : folders_) {
    for (const auto& [name, file] : folder.names()) bytes += file->content().size();
  }
  return bytes;
}

std::uint64_t SimFolderDisk::free_bytes() const { return capacity_bytes - std::min(capacity_bytes, used_bytes()); }

int SimFolderDisk::count(SimFolderCallKind kind) {
  ++calls_;
  ++calls_of_[static_cast<std::size_t>(kind)];
  for (const SimFolderFault& fault : faults) {
    if (fault.kind && *fault.kind != kind) continue;
    const std::uint64_t number = fault.kind ? calls(kind) : calls_;
    if (number >= fault.number && number - fault.number < fault.count) return fault.full ? ENOSPC : EIO;
  }
  return 0;
}

void SimFolderDisk::tell(SimFolderCallKind kind, SimFolderCall::Moment moment, const std::string& name) {
  // A copy: what is called may put another in its place.
  if (const auto hook = on_call) hook({kind, moment, calls_, name});
}

void SimFolderDisk::lose_power(SeededRandom& random) {
  for (auto& [path, folder] : folders_) folder.lose_power(random, remains_);
}

}  // namespace zferry::io
