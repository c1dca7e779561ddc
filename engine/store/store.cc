// Opening a store, and what concerns more than one session.
#include "store/store.h"

#include <algorithm>

#include "store/file_names.h"
#include "store/state.h"

namespace zferry::store {

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

std::uint64_t Store::State::reserve() const {
  std::uint64_t sum = 0;
  for (const auto& [id, session] : live) sum += session->reserve_beside(session->journal_bytes);
  return sum;
}

Status Store::State::remove_segment(const SessionId& id, std::uint32_t number, std::uint64_t bytes) {
  if (Status status = folder.remove(segment_name(keys, id, number)); !status) return over(status.take_error());
  used -= std::min(used, bytes);
  return {};
}

namespace {

// A session as it is found. Its last commit may have been written and never synced, by a process that was killed: so
// nothing is removed yet on its word, but where there is no journal.
Status take_in(Store::State& store, const SessionId& id, const SessionFiles& files) {
  store.used += files.bytes();
  if (!files.journal_bytes) {
    for (const auto& [number, bytes] : files.segment_bytes)
      if (Status status = store.remove_segment(id, number, bytes); !status) return status;
    return {};
  }
  auto content = recover_session(store.folder, store.keys, id, files);
  SessionSummary& summary = store.known[id];
  if (content) {
    summary = summary_of(id, *content);
  } else {
    summary.id = id;
    summary.damage = content.take_error();
  }
  summary.disk_bytes = files.bytes();
  return {};
}

}  // namespace

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
  auto state = std::unique_ptr<State>(new State{folder, std::move(*keys), std::move(settings), random, {}});
  state->used = files->other_bytes;
  for (const std::string& name : files->unfinished)
    if (Status status = folder.remove(name); !status) return status.take_error();
  for (const auto& [id, session] : files->sessions)
    if (Status status = take_in(*state, id, session); !status) return status.take_error();
  if (state->settings.capacity_bytes == 0) {
    auto free = folder.free_bytes();
    if (!free) return free.take_error();
    state->settings.capacity_bytes = state->used + *free / 10 * 9;
  }
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() { ZF_ASSERT(state_->live.empty()); }

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
  state_->known[id] = session->summary();
  return std::unique_ptr<Session>(new Session(std::move(session)));
}

Result<std::unique_ptr<Session>> Store::resume(const SessionId& id) {
  if (Status status = state_->usable(); !status) return status.take_error();
  ZF_ASSERT(state_->known.contains(id) && !state_->live.contains(id));
  auto all = list_files(state_->folder, state_->keys);
  if (!all) return all.take_error();
  SessionFiles& files = all->sessions[id];
  auto content = recover_session(state_->folder, state_->keys, id, files);
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
    if (Status status = state_->remove_segment(id, number, files.segment_bytes[number]); !status)
      return status.take_error();
  return std::unique_ptr<Session>(new Session(std::move(session)));
}

Status Store::remove(const SessionId& id) {
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
  for (const auto& [number, bytes] : files.segment_bytes)
    if (Status status = state_->remove_segment(id, number, bytes); !status) return status;
  return {};
}

std::uint64_t Store::used_bytes() const { return state_->used; }
std::uint64_t Store::capacity_bytes() const { return state_->settings.capacity_bytes; }

}  // namespace zferry::store
