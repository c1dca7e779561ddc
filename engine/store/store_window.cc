// The store's window, as its callers see it.
#include <algorithm>

#include "store/file_names.h"
#include "store/state.h"
#include "store/window_file.h"

namespace zferry::store {
namespace {

constexpr std::size_t kReadersMax = 3;  // each has room for a block

// Of memory, with what the table needs for it.
constexpr std::uint64_t kEntryBytes = sizeof(SegmentEntry) + 5 * sizeof(void*);

}  // namespace

// What was there at opening: its chunks, and when it was of use. What nobody can find any more goes.
Status Store::State::take_in_window() {
  if (!settings.window) return {};
  WindowNotes notes = read_window(folder, keys);
  generation = notes.generation;
  savings = notes.savings;
  for (const LastUse& use : notes.uses)
    if (SegmentEntry* entry = segments.find(use.session, use.segment))
      entry->last_use = std::min(use.generation, generation);
  std::vector<SegmentEntry*> useless;
  segments.each([&](SegmentEntry& entry) {
    const bool found = entry.log_bytes > 0 && window.read(entry);
    generation = std::max(generation, entry.born);
    entry.last_use = std::max(entry.last_use, entry.born);
    if (!found && !entry.owned && entry.pins == 0) useless.push_back(&entry);
  });
  for (SegmentEntry* entry : useless)
    if (Status status = remove_segment(*entry); !status) return status;
  window_changed = false;
  return {};
}

void Store::State::write_down_window() {
  if (!settings.window || !window_changed || failure) return;
  WindowNotes notes{generation, savings, {}};
  const SegmentTable& all = segments;
  all.each([&](const SegmentEntry& entry) {
    if (entry.last_use > 0) notes.uses.push_back({*entry.session, entry.number, entry.last_use});
  });
  const std::uint64_t bytes = store::window_file_bytes(notes.uses.size());
  if (used + bytes > settings.capacity_bytes) return;
  if (!write_window(folder, keys, settings.cipher, random, notes)) return;
  used += bytes;
  used -= std::min(used, window_file_bytes);
  window_file_bytes = bytes;
  window_changed = false;
}

seal::SecretBytes Store::chunk_key(const Scope& scope) const { return state_->keys.chunk_key(scope); }

namespace {

template <class AnyId>
std::optional<FoundRuns> find_in(Store::State& store, const Scope& scope, const AnyId& id, std::uint64_t bytes) {
  if (!store.settings.window) return {};
  auto found = store.window.find(scope, id, bytes);
  if (!found) return {};
  SegmentEntry& entry = *found->segment;
  if (std::exchange(entry.last_use, store.generation) != store.generation) store.window_changed = true;
  Footer::Found& in = found->found;
  return FoundRuns{{*entry.session, entry.number, entry.check, in.at, in.block}, std::move(in.runs)};
}

}  // namespace

std::optional<FoundRuns> Store::find(const Scope& scope, const chunk::Id& id, std::uint64_t bytes) {
  return find_in(*state_, scope, id, bytes);
}

std::optional<FoundRuns> Store::find(const Scope& scope, const chunk::SubId& id, std::uint64_t bytes) {
  return find_in(*state_, scope, id, bytes);
}

void Store::forget(const BlockPlace& place) {
  SegmentEntry* entry = state_->segments.find(place.session, place.segment);
  if (entry != nullptr && entry->check == place.check && entry->scope != 0) state_->window.forget(*entry, place.at);
}

Status Store::read(const BlockPlace& place, Bytes into) {
  const SegmentEntry* entry = state_->segments.find(place.session, place.segment);
  if (entry == nullptr)
    return failed(segment_name(state_->keys, place.session, place.segment), "is not there any more");
  auto& readers = state_->readers;
  auto open = std::ranges::find(readers, entry, &State::OpenReader::segment);
  if (open == readers.end() || entry->check != place.check) {
    auto reader = SegmentReader::open(state_->folder, state_->keys, place.session, place.segment, place.check);
    if (!reader) return reader.take_error();
    if (open != readers.end()) readers.erase(open);
    if (readers.size() == kReadersMax) readers.pop_back();
    open = readers.insert(readers.end(), {entry, std::move(*reader)});
  }
  readers.splice(readers.begin(), readers, open);
  return open->reader.read(place.block, place.at, into);
}

WindowFacts Store::window() const {
  WindowFacts facts;
  const SegmentTable& all = state_->segments;
  all.each([&](const SegmentEntry& entry) {
    facts.chunks += entry.chunks;
    if (entry.owned) return;
    ++facts.segments;
    facts.bytes += entry.bytes + entry.log_bytes;
  });
  facts.index_bytes = state_->window.index_bytes() + all.size() * kEntryBytes;
  return facts;
}

Savings Store::savings() const { return state_->savings; }

void Store::add_savings(const Savings& more) {
  state_->savings.looked_bytes += more.looked_bytes;
  state_->savings.found_bytes += more.found_bytes;
  state_->savings.sessions += more.sessions;
  state_->window_changed = true;
}

}  // namespace zferry::store
