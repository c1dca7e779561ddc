// Opening a store, and what concerns more than one session.
#include "store/store.h"

#include <algorithm>

#include "store/file_names.h"
#include "store/state.h"

namespace zferry::store {
namespace {

std::uint64_t index_bytes_max(std::uint64_t capacity_bytes) {
  constexpr std::uint64_t kTiB = 1024 * 1024 * limits::MiB;
  return std::max(limits::kIndexBytesLeast, capacity_bytes / (kTiB / limits::kIndexBytesOfTiB));
}

}  // namespace

Error Store::State::over(Error error) {
  // A full disk ends it too, where it was not append() that met it: what was to be kept is not.
  error.fault = Fault::kStoreFailed;
  if (!failure) failure = error;
  return error;
}

Status Store::State::usable() const {
  if (failure) return *failure;
  return {};
}

// Every segment first: a session may need another one's. Chunks whose segment is gone go too.
Status Store::State::take_in(const StoreFiles& files) {
  for (const auto& [id, session] : files.sessions) {
    for (const auto& [number, bytes] : session.segment_bytes) segments.add(id, number).bytes = bytes;
    for (const auto& [number, bytes] : session.log_bytes) {
      if (SegmentEntry* entry = segments.find(id, number)) {
        entry->log_bytes = bytes;
        entry->has_log = true;
        continue;
      }
      used -= bytes;
      if (Status status = folder.remove(chunks_name(keys, id, number)); !status) return status;
    }
  }
  for (const auto& [id, session] : files.sessions)
    if (Status status = take_in_session(id, files); !status) return status;
  // What cannot be read now may say later that it needs them.
  const bool all_read = std::ranges::none_of(known, [](const auto& entry) { return entry.second.damage.has_value(); });
  std::vector<SegmentEntry*> needless;
  if (all_read)
    segments.each([&](SegmentEntry& entry) {
      if (!entry.owned && entry.pins == 0 && entry.log_bytes == 0) needless.push_back(&entry);
    });
  for (SegmentEntry* entry : needless)
    if (Status status = remove_segment(*entry); !status) return status;
  return take_in_window();
}

// A session as it is found. Its last commit may have been written and never synced, by a process that was killed: so
// nothing is removed yet on its word, but where there is no journal; and what any state of its journal needs is held.
Status Store::State::take_in_session(const SessionId& id, const StoreFiles& files) {
  const SessionFiles& its = files.sessions.at(id);
  if (!its.journal_bytes) {
    for (SegmentEntry* entry : segments.of(id)) segments.disown(*entry);
    return {};
  }
  auto content = recover_session(folder, keys, id, files);
  SessionSummary& summary = known[id];
  summary.id = id;
  summary.disk_bytes = its.bytes();
  if (!content) {
    summary.damage = content.take_error();
    return {};
  }
  summary = summary_of(id, *content);
  summary.disk_bytes = its.own_bytes(*content);
  for (SegmentEntry* entry : segments.of(id)) {
    if (!its.is_own(*content, entry->number)) segments.disown(*entry);
    const auto facts = content->segments().find(entry->number);
    if (facts != content->segments().end()) entry->check = facts->second.check;
  }
  std::vector<PinnedSegment> pins = content->past_pins();
  for (const auto& [segment, pin] : content->pins()) pins.push_back(segment);
  for (const PinnedSegment& segment : pins)
    if (SegmentEntry* entry = segments.find(segment.session, segment.number)) hold(id, *entry);
  return {};
}

Result<std::unique_ptr<Store>> Store::open(io::Folder& folder, const seal::SecretBytes& key, StoreSettings settings,
                                           RandomSource& random) {
  ZF_ASSERT(settings.segment_bytes > 0 && settings.segment_bytes <= kSegmentFileBytesMax / 2);
  if (Status status = folder.lock(); !status) return status.take_error();
  auto keys = open_format(folder, key, &random);
  if (!keys) return keys.take_error();
  auto files = list_files(folder, *keys);
  if (!files) return files.take_error();
  // The names that were found survive a crash from here on, and so does that others were not.
  if (Status status = folder.sync(); !status) return status.take_error();
  auto state = std::unique_ptr<State>(new State{folder, std::move(*keys), std::move(settings), random});
  state->used = files->other_bytes;
  for (const auto& [id, session] : files->sessions) state->used += session.bytes();
  state->window_file_bytes = files->window_bytes;
  for (const std::string& name : files->unfinished)
    if (Status status = folder.remove(name); !status) return status.take_error();
  if (state->settings.capacity_bytes == 0) {
    auto free = folder.free_bytes();
    if (!free) return free.take_error();
    state->settings.capacity_bytes = state->used + *free / 10 * 9;
  }
  state->window.set_index_bytes_max(index_bytes_max(state->settings.capacity_bytes));
  if (Status status = state->take_in(*files); !status) return status.take_error();
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() {
  ZF_ASSERT(state_->live.empty());
  if (!state_->settings.window || !state_->window_changed || state_->failure) return;
  state_->write_down_window();
  // What does not survive costs no more than what it was to save.
  [[maybe_unused]] const Status synced = state_->folder.sync();
}

std::vector<SessionSummary> Store::sessions() const {
  std::vector<SessionSummary> all;
  for (const auto& [id, summary] : state_->known) {
    const auto live = state_->live.find(id);
    all.push_back(live == state_->live.end() ? summary : live->second->summary());
  }
  return all;
}

Result<std::unique_ptr<Session>> Store::begin(const SessionId& id, const std::string& label) {
  if (Status status = state_->usable(); !status) return status.take_error();
  ZF_ASSERT(!state_->known.contains(id));
  auto session = std::unique_ptr<Session::State>(new Session::State{*state_, id});
  session->content.label = label.substr(0, kLabelBytesMax);
  session->content.begun_unix_s = state_->settings.unix_now_s ? state_->settings.unix_now_s() : 0;
  session->changed = true;
  session->next_segment =
      state_->segments.last_number(id) + 1;  // what it is the next of may still be there to be found
  ++state_->generation;
  state_->window_changed = true;
  state_->known[id] = session->summary();
  return std::unique_ptr<Session>(new Session(std::move(session)));
}

Result<std::unique_ptr<Session>> Store::resume(const SessionId& id) {
  if (Status status = state_->usable(); !status) return status.take_error();
  ZF_ASSERT(state_->known.contains(id) && !state_->live.contains(id));
  auto all = list_files(state_->folder, state_->keys);
  if (!all) return all.take_error();
  SessionFiles& files = all->sessions[id];
  auto content = recover_session(state_->folder, state_->keys, id, *all);
  if (!content) return content.take_error();
  auto session = std::unique_ptr<Session::State>(new Session::State{*state_, id});
  session->journal_bytes = files.journal_bytes.value_or(0);
  if (!content->segments().empty()) session->next_segment = content->segments().rbegin()->first + 1;
  if (!files.segment_bytes.empty())
    session->next_segment = std::max(session->next_segment, files.segment_bytes.rbegin()->first + 1);
  const auto unneeded = unneeded_segments(files, *content);
  std::erase_if(content->segments(), [](const auto& segment) { return segment.second.blocks == 0; });
  session->content = std::move(*content);
  if (Status status = session->take_over(); !status) return status.take_error();
  for (std::uint32_t number : unneeded)
    if (SegmentEntry* entry = state_->segments.find(id, number); entry != nullptr && entry->owned)
      if (Status status = state_->let_go(*entry); !status) return status.take_error();
  if (Status status = state_->release_all(id, session->content.pins()); !status) return status.take_error();
  return std::unique_ptr<Session>(new Session(std::move(session)));
}

Status Store::remove(const SessionId& id, bool keep) {
  if (Status status = state_->usable(); !status) return status;
  ZF_ASSERT(!state_->live.contains(id));
  auto all = list_files(state_->folder, state_->keys);
  if (!all) return all.take_error();
  const SessionFiles& files = all->sessions[id];
  // The journal first, and for good: one that names segments which are gone would be damage.
  if (Status status = state_->folder.remove(journal_name(state_->keys, id)); !status)
    return state_->over(status.take_error());
  if (Status status = state_->folder.sync(); !status) return state_->over(status.take_error());
  state_->used -= std::min(state_->used, files.journal_bytes.value_or(0));
  state_->known.erase(id);
  if (Status status = state_->let_go_all(id, keep); !status) return status;
  state_->write_down_window();
  return {};
}

std::uint64_t Store::used_bytes() const { return state_->used; }
std::uint64_t Store::capacity_bytes() const { return state_->settings.capacity_bytes; }

}  // namespace zferry::store
