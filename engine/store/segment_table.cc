#include "store/segment_table.h"

#include <tuple>
#include <vector>

namespace zferry::store {

SegmentEntry& SegmentTable::add(const SessionId& session, std::uint32_t number) {
  const auto files = sessions_.try_emplace(session).first;
  const auto [entry, is_new] = files->second.try_emplace(number);
  ZF_ASSERT(is_new);
  entry->second.session = &files->first;
  entry->second.number = number;
  entry->second.age = next_age_++;
  ++size_;
  return entry->second;
}

SegmentEntry* SegmentTable::find(const SessionId& session, std::uint32_t number) {
  const auto files = sessions_.find(session);
  if (files == sessions_.end()) return nullptr;
  const auto entry = files->second.find(number);
  return entry == files->second.end() ? nullptr : &entry->second;
}

void SegmentTable::erase(SegmentEntry& entry) {
  ZF_ASSERT(entry.pins == 0);
  if (evictable(entry)) evictable_bytes_ -= bytes_of(entry);
  const auto files = sessions_.find(*entry.session);
  files->second.erase(std::uint32_t{entry.number});
  if (files->second.empty()) sessions_.erase(files);
  --size_;
}

std::uint32_t SegmentTable::last_number(const SessionId& session) const {
  const auto files = sessions_.find(session);
  return files == sessions_.end() ? 0 : files->second.rbegin()->first;
}

void SegmentTable::each(const std::function<void(SegmentEntry&)>& see) {
  for (auto& [session, files] : sessions_)
    for (auto& [number, entry] : files) see(entry);
}

void SegmentTable::each(const std::function<void(const SegmentEntry&)>& see) const {
  for (const auto& [session, files] : sessions_)
    for (const auto& [number, entry] : files) see(entry);
}

std::vector<SegmentEntry*> SegmentTable::of(const SessionId& session) {
  std::vector<SegmentEntry*> entries;
  if (const auto files = sessions_.find(session); files != sessions_.end())
    for (auto& [number, entry] : files->second) entries.push_back(&entry);
  return entries;
}

void SegmentTable::disown(SegmentEntry& entry) {
  ZF_ASSERT(entry.owned);
  entry.owned = false;
  if (evictable(entry)) evictable_bytes_ += bytes_of(entry);
}

void SegmentTable::pin(SegmentEntry& entry) {
  if (evictable(entry)) evictable_bytes_ -= bytes_of(entry);
  ++entry.pins;
}

void SegmentTable::unpin(SegmentEntry& entry) {
  ZF_ASSERT(entry.pins > 0);
  --entry.pins;
  if (evictable(entry)) evictable_bytes_ += bytes_of(entry);
}

// All are looked at, once for each 64 MiB that come into a full store.
SegmentEntry* SegmentTable::first_to_go() {
  SegmentEntry* first = nullptr;
  for (auto& [session, files] : sessions_) {
    for (auto& [number, entry] : files) {
      if (!evictable(entry)) continue;
      if (first == nullptr || std::tie(entry.last_use, entry.age) < std::tie(first->last_use, first->age))
        first = &entry;
    }
  }
  return first;
}

}  // namespace zferry::store
