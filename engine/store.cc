#include "store.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "io/posix_folder.h"
#include "io/state_folder.h"
#include "pipeline/receive_command.h"
#include "pipeline/recipe.h"
#include "pipeline/store_key.h"
#include "store/file_names.h"
#include "store_opening.h"

namespace zferry {
namespace {

bool has_format(const std::vector<io::FolderEntry>& entries) {
  return std::ranges::any_of(entries, [](const io::FolderEntry& entry) { return entry.name == store::kFormatName; });
}

// Looked at before it is locked: locking makes a folder that is missing.
Status is_store(io::Folder& folder) {
  auto entries = folder.list();
  if (entries && has_format(*entries)) return {};
  Error error = entries
                    ? Error{Fault::kStoreFailed, escaped(folder.path()) + ": no store: no file \"format\" in it", {}}
                    : entries.take_error();
  if (!entries && error.fault != Fault::kStoreFailed) return error;
  if (error.next.empty() || error.what.ends_with("No such file or directory"))
    error.next = "give the folder of recv --store, without its capacity: ls -ld " + escaped(folder.path());
  return error;
}

// What pastes into a shell as it is; anything else is left to the operator.
std::string as_command(const std::vector<std::string>& argv) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
  std::string line;
  for (const std::string& word : argv) {
    if (word.empty() || word.find_first_not_of(plain) != std::string::npos) return {};
    line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

StoredSession described(const store::SessionSummary& summary) {
  StoredSession session;
  session.summary = summary;
  session.id = to_hex(summary.id);
  constexpr std::string_view arrow = " -> ", command = "command ";
  const std::size_t at = summary.label.find(arrow);
  session.stream_name = summary.label.substr(0, at);
  if (at == std::string::npos) return session;
  session.destination = summary.label.substr(at + arrow.size());
  if (!session.destination.starts_with(command)) return session;
  session.destination.erase(0, command.size());
  const auto receive = pipeline::ReceiveCommand::parse(words_of(session.destination));
  if (!receive || !receive->keeps_what_is_cut()) return session;
  session.ask_command = as_command(receive->ask_token(session.stream_name));
  session.give_up_command = as_command(words_of(receive->give_up_command(session.stream_name)));
  return session;
}

StoredSession described(const store::Holdings& holdings, const store::SessionId& id) {
  const auto found = std::ranges::find(holdings.sessions, id, &store::SessionSummary::id);
  if (found != holdings.sessions.end()) return described(*found);
  store::SessionSummary unknown;
  unknown.id = id;
  return described(unknown);
}

// A store that is there, and its key.
struct Opened {
  io::PosixFolder folder;
  seal::SecretBytes key;
  store::Holdings holdings;
};
Result<std::unique_ptr<Opened>> open_store(const StorePlace& place) {
  auto opened = std::make_unique<Opened>(Opened{io::PosixFolder(place.folder), {}, {}});
  if (Status there = is_store(opened->folder); !there) return there.take_error();
  auto key = key_of(place);
  if (!key) return key.take_error();
  opened->key = std::move(*key);
  auto holdings = store::look(opened->folder, opened->key);
  if (!holdings) return holdings.take_error();
  opened->holdings = std::move(*holdings);
  return opened;
}

}  // namespace

bool has_store(io::Folder& folder) {
  const auto entries = folder.list();
  return entries && has_format(*entries);
}

Result<seal::SecretBytes> key_of(const StorePlace& place) {
  io::PosixStateFolder state(place.state_folder);
  auto kept = pipeline::kept_store_key(state);
  if (!kept) return kept.take_error();
  if (*kept) return std::move(**kept);
  return Error{Fault::kStateFailed,
               "the state folder " + escaped(place.state_folder) +
                   " has no key of stores, and nobody can read the store without the one that made it",
               "give the state folder of the recv that made the store: --state FOLDER (another user has another one)"};
}

Result<StoreContents> store_contents(const StorePlace& place) {
  auto opened = open_store(place);
  if (!opened) return opened.take_error();
  StoreContents contents;
  const store::Holdings& holdings = (*opened)->holdings;
  contents.used_bytes = holdings.used_bytes;
  contents.window_segments = holdings.window_segments;
  contents.window_bytes = holdings.window_bytes;
  contents.savings = holdings.savings;
  for (const store::SessionSummary& summary : holdings.sessions) contents.sessions.push_back(described(summary));
  auto free = (*opened)->folder.free_bytes();
  if (!free) return free.take_error();
  contents.free_bytes = *free;
  return contents;
}

Result<StoreVerdict> verify_store(const StorePlace& place) {
  auto opened = open_store(place);
  if (!opened) return opened.take_error();
  auto verification = store::verify((*opened)->folder, (*opened)->key, pipeline::places_in);
  if (!verification) return verification.take_error();
  StoreVerdict verdict{verification->sessions,
                       verification->blocks,
                       verification->packed_bytes,
                       verification->shared_blocks,
                       verification->window_blocks,
                       verification->window_damaged,
                       {}};
  for (auto& [id, error] : verification->damaged)
    verdict.damaged.push_back({described((*opened)->holdings, id), std::move(error)});
  return verdict;
}

Result<StorePruning> prune_store(const StorePlace& place, const std::vector<store::SessionId>& sessions) {
  auto opened = open_store(place);
  if (!opened) return opened.take_error();
  auto store = store::Store::open((*opened)->folder, (*opened)->key, {}, system_random());
  if (!store) return store.take_error();
  StorePruning pruning;
  const std::uint64_t before = (*store)->used_bytes();
  for (const store::SessionSummary& summary : (*store)->sessions()) {
    if (std::ranges::find(sessions, summary.id) == sessions.end()) continue;
    if (Status removed = (*store)->remove(summary.id, false); !removed) return removed.take_error();
    ++pruning.sessions;
  }
  pruning.used_bytes = (*store)->used_bytes();
  pruning.freed_bytes = before - std::min(before, pruning.used_bytes);
  return pruning;
}

}  // namespace zferry
