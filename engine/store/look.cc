// What a store holds, seen from beside it.
#include "store/file_names.h"
#include "store/journal.h"
#include "store/recovery.h"
#include "store/store.h"

namespace zferry::store {
namespace {

// A store in use goes on meanwhile: what seems to be missing is asked for again.
constexpr int kLooks = 4;

// The journal before the list: a segment that it names was there when it was written. Nothing where the session is no
// more.
Result<std::optional<SessionSummary>> look_at(io::Folder& folder, const StoreKeys& keys, const SessionId& id) {
  auto content = read_journal(folder, keys, id);
  auto files = list_files(folder, keys);
  if (!files) return files.take_error();
  const auto session = files->sessions.find(id);
  if (session == files->sessions.end() || !session->second.journal_bytes) return std::optional<SessionSummary>{};
  SessionSummary summary;
  summary.id = id;
  if (content) {
    Status found = find_segments(keys, id, session->second, *content);
    summary = summary_of(id, *content);
    if (!found) summary.damage = found.take_error();
  } else {
    summary.damage = content.take_error();
  }
  summary.disk_bytes = session->second.bytes();
  return std::optional(std::move(summary));
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
    if (!session.journal_bytes) continue;  // begun a moment ago, or a crash left it: nothing of it counts
    Result<std::optional<SessionSummary>> seen = look_at(folder, *keys, id);
    for (int looks = 1; looks < kLooks && seen && *seen && (*seen)->damage; ++looks) seen = look_at(folder, *keys, id);
    if (!seen) return seen.take_error();
    if (*seen) holdings.sessions.push_back(std::move(**seen));
  }
  return holdings;
}

}  // namespace zferry::store
