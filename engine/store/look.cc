// What a store holds, seen from beside it.
#include "store/file_names.h"
#include "store/journal.h"
#include "store/recovery.h"
#include "store/store.h"
#include "store/window_file.h"

namespace zferry::store {
namespace {

// A store in use goes on meanwhile: what seems to be missing is asked for again.
constexpr int kLooks = 4;

// Of the segments of a session those that are only there to be found.
void count_window(const SessionFiles& files, const SessionContent* content, Holdings& holdings) {
  for (const auto& [number, bytes] : files.segment_bytes) {
    const auto log = files.log_bytes.find(number);
    if (log == files.log_bytes.end() || (content != nullptr && files.is_own(*content, number))) continue;
    ++holdings.window_segments;
    holdings.window_bytes += bytes + log->second;
  }
}

// The journal before the list: a segment that it names was there when it was written. Nothing where the session is no
// more.
struct Seen {
  SessionSummary summary;
  Holdings window;  // counts of it alone
};
Result<std::optional<Seen>> look_at(io::Folder& folder, const StoreKeys& keys, const SessionId& id) {
  auto content = read_journal(folder, keys, id);
  auto files = list_files(folder, keys);
  if (!files) return files.take_error();
  const auto session = files->sessions.find(id);
  if (session == files->sessions.end() || !session->second.journal_bytes) return std::optional<Seen>{};
  Seen seen;
  SessionSummary& summary = seen.summary;
  summary.id = id;
  if (content) {
    Status found = find_segments(keys, id, *files, *content);
    summary = summary_of(id, *content);
    if (!found) summary.damage = found.take_error();
  } else {
    summary.damage = content.take_error();
  }
  summary.disk_bytes = content ? session->second.own_bytes(*content) : session->second.bytes();
  if (content) count_window(session->second, &*content, seen.window);
  return std::optional(std::move(seen));
}

}  // namespace

Result<Holdings> look(io::Folder& folder, const seal::SecretBytes& key) {
  auto keys = open_format(folder, key, nullptr);
  if (!keys) return keys.take_error();
  auto files = list_files(folder, *keys);
  if (!files) return files.take_error();
  Holdings holdings;
  holdings.used_bytes = files->other_bytes;
  for (const auto& [id, session] : files->sessions) {
    holdings.used_bytes += session.bytes();
    if (!session.journal_bytes) {  // begun a moment ago, or a crash left it, or it is over: nothing of it counts
      count_window(session, nullptr, holdings);
      continue;
    }
    auto seen = look_at(folder, *keys, id);
    for (int looks = 1; looks < kLooks && seen && *seen && (*seen)->summary.damage; ++looks)
      seen = look_at(folder, *keys, id);
    if (!seen) return seen.take_error();
    if (!*seen) continue;
    holdings.sessions.push_back(std::move((*seen)->summary));
    holdings.window_segments += (*seen)->window.window_segments;
    holdings.window_bytes += (*seen)->window.window_bytes;
  }
  holdings.savings = read_window(folder, *keys).savings;
  return holdings;
}

}  // namespace zferry::store
