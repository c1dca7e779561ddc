#include "store/window.h"

#include <algorithm>

#include "base/limits.h"
#include "store/chunk_log.h"

namespace zferry::store {
namespace {

constexpr std::size_t kFootersMax = 32;
constexpr std::size_t kFootersBytesMax = limits::kFooterCacheBytes;
constexpr std::size_t kFooterBytesMax = 2 * limits::MiB;  // of one: beyond that its chunks are not kept
constexpr std::size_t kForgottenMax = 64;                 // blocks of a segment, before all of it is

template <class See>
void each_id(std::span<const ChunkFacts> chunks, const See& see) {
  for (const ChunkFacts& chunk : chunks) {
    if (chunk.id) {
      see(chunk::sub_id(*chunk.id));
    } else {
      for (const ChunkFacts::Unit& unit : chunk.units) see(unit.id);
    }
  }
}

}  // namespace

std::uint32_t Window::number_of(const Scope& scope) {
  return scopes_.try_emplace(scope, static_cast<std::uint32_t>(scopes_.size() + 1)).first->second;
}

ChunkIndex::Handle Window::handle() { return index_.bytes() < index_bytes_max_ ? index_.acquire() : 0; }

bool Window::read(SegmentEntry& entry) {
  entry.handle = handle();
  if (entry.handle == 0) return false;
  std::vector<chunk::SubId> ids;
  const auto see = [&](const chunk::SubId& id, bool whole) {
    ids.push_back(id);
    entry.chunks += whole;
  };
  const auto start = read_chunk_log(folder_, keys_, *entry.session, entry.number,
                                    [&](ConstBytes entries) { return decode_chunk_ids(entries, see); });
  index_.add(ids, entry.handle);
  if (by_handle_.size() <= entry.handle) by_handle_.resize(entry.handle + 1);
  by_handle_[entry.handle] = &entry;
  if (!start) return retire(entry), false;
  entry.scope = number_of(start->scope);
  entry.born = start->generation;
  entry.check = start->segment;
  return true;
}

bool Window::enroll(SegmentEntry& entry, const Scope& scope) {
  entry.handle = handle();
  if (entry.handle == 0) return false;
  if (by_handle_.size() <= entry.handle) by_handle_.resize(entry.handle + 1);
  by_handle_[entry.handle] = &entry;
  entry.scope = number_of(scope);
  footers_.push_front({&entry, {}, true});
  return true;
}

bool Window::add(SegmentEntry& entry, std::uint32_t at, const BlockFacts& block, std::span<const ChunkFacts> chunks) {
  const auto kept = cached(entry);
  ZF_ASSERT(kept != footers_.end() && kept->growing);
  kept->footer.add(at, block, chunks);
  each_id(chunks, [&](const chunk::SubId& id) { index_.add(id, entry.handle); });
  entry.chunks += static_cast<std::uint32_t>(
      std::ranges::count_if(chunks, [](const ChunkFacts& chunk) { return chunk.id.has_value(); }));
  return kept->footer.bytes() <= kFooterBytesMax;
}

void Window::settle(const SegmentEntry& entry) {
  if (const auto kept = cached(entry); kept != footers_.end()) kept->growing = false;
  drop_footers();
}

void Window::retire(SegmentEntry& entry) {
  if (const auto kept = cached(entry); kept != footers_.end()) footers_.erase(kept);
  forgotten_.erase(&entry);
  if (entry.handle == 0) return;
  by_handle_[entry.handle] = nullptr;
  index_.release(std::exchange(entry.handle, 0));
  entry.scope = 0;
  entry.chunks = 0;
}

Window::Footers::iterator Window::cached(const SegmentEntry& entry) {
  return std::ranges::find_if(footers_, [&](const Kept& kept) { return kept.segment == &entry; });
}

// Read, where it is not in memory: as far as its file can be.
Footer& Window::footer_of(SegmentEntry& entry) {
  const auto kept = cached(entry);
  footers_.splice(footers_.begin(), footers_, kept == footers_.end() ? footers_.insert(kept, {&entry, {}}) : kept);
  Footer& footer = footers_.front().footer;
  if (kept != footers_.end()) return footer;
  const auto see = [&](ConstBytes page) {
    const auto entries = decode_chunks(page);
    if (!entries) return false;
    for (const ChunkEntry& each : *entries) footer.add(each.at, each.block, each.chunks);
    return footer.bytes() <= kFooterBytesMax;
  };
  read_chunk_log(folder_, keys_, *entry.session, entry.number, see);
  if (const auto forgotten = forgotten_.find(&entry); forgotten != forgotten_.end())
    for (std::uint32_t at : forgotten->second) footer.forget(at);
  drop_footers();
  return footer;
}

// The first stays: it was asked for.
void Window::drop_footers() {
  std::size_t count = 0, bytes = 0;
  for (auto kept = footers_.begin(); kept != footers_.end();) {
    count += !kept->growing;
    bytes += kept->growing ? 0 : kept->footer.bytes();
    const bool goes = kept != footers_.begin() && !kept->growing && (count > kFootersMax || bytes > kFootersBytesMax);
    kept = goes ? footers_.erase(kept) : std::next(kept);
  }
}

template <class AnyId>
std::optional<Window::Found> Window::find_by_index(const Scope& scope, const AnyId& id, const chunk::SubId& prefix,
                                                   std::uint64_t bytes) {
  const auto known = scopes_.find(scope);
  if (known == scopes_.end()) return {};
  std::vector<SegmentEntry*> candidates;
  for (ChunkIndex::Handle handle : index_.find(prefix)) {
    SegmentEntry* entry = by_handle_[handle];
    if (entry->scope == known->second) candidates.push_back(entry);
  }
  // The youngest first: what is there twice came again because the older one is damaged.
  std::ranges::sort(candidates, std::ranges::greater(),
                    [](const SegmentEntry* entry) { return std::pair(entry->born, entry->age); });
  for (SegmentEntry* entry : candidates)
    if (auto found = footer_of(*entry).find(id, bytes)) return Found{entry, std::move(*found)};
  return {};
}

std::optional<Window::Found> Window::find(const Scope& scope, const chunk::Id& id, std::uint64_t bytes) {
  return find_by_index(scope, id, chunk::sub_id(id), bytes);
}

// Units of whole chunks are in no index: what was written together is mostly asked for together.
std::optional<Window::Found> Window::find(const Scope& scope, const chunk::SubId& id, std::uint64_t bytes) {
  const auto known = scopes_.find(scope);
  if (known == scopes_.end()) return {};
  for (auto kept = footers_.begin(); kept != footers_.end(); ++kept) {
    if (kept->segment->scope != known->second) continue;
    auto found = kept->footer.find(id, bytes);
    if (!found) continue;
    footers_.splice(footers_.begin(), footers_, kept);
    return Found{kept->segment, std::move(*found)};
  }
  return find_by_index(scope, id, id, bytes);
}

void Window::forget(SegmentEntry& entry, std::uint32_t at) {
  std::set<std::uint32_t>& blocks = forgotten_[&entry];
  blocks.insert(at);
  if (const auto kept = cached(entry); kept != footers_.end()) kept->footer.forget(at);
  if (blocks.size() > kForgottenMax) entry.scope = 0;
}

}  // namespace zferry::store
