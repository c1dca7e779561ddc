#include "store/file_names.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace zferry::store {
namespace {

constexpr std::string_view kJournal = "journal-", kSegment = "segment-", kChunks = "chunks-", kNew = "new-";
constexpr std::size_t kSessionChars = 2 * sizeof(SessionId), kNumberChars = 8;

std::string numbered_name(std::string_view prefix, const StoreKeys& keys, const SessionId& session,
                          std::uint32_t number) {
  char digits[kNumberChars + 1];
  std::snprintf(digits, sizeof digits, "%08x", number);
  return std::string(prefix) + keys.name_of(session) + "-" + digits;
}

struct Prefix {
  std::string_view text;
  FileKind kind;
};
constexpr Prefix kPrefixes[] = {
    {kJournal, FileKind::kJournal}, {kSegment, FileKind::kSegment}, {kChunks, FileKind::kChunks}};

}  // namespace

std::string journal_name(const StoreKeys& keys, const SessionId& session) {
  return std::string(kJournal) + keys.name_of(session);
}

std::string new_journal_name(const StoreKeys& keys, const SessionId& session) {
  return std::string(kNew) + journal_name(keys, session);
}

std::string segment_name(const StoreKeys& keys, const SessionId& session, std::uint32_t number) {
  return numbered_name(kSegment, keys, session, number);
}

std::string chunks_name(const StoreKeys& keys, const SessionId& session, std::uint32_t number) {
  return numbered_name(kChunks, keys, session, number);
}

bool is_unfinished(const std::string& name) { return name.starts_with(kNew); }

std::optional<NamedFile> parse_name(const StoreKeys& keys, const std::string& name) {
  const auto prefix = std::ranges::find_if(kPrefixes, [&](const Prefix& each) { return name.starts_with(each.text); });
  if (prefix == std::end(kPrefixes)) return {};
  std::string_view rest = std::string_view(name).substr(prefix->text.size());
  NamedFile file;
  file.kind = prefix->kind;
  const auto session = keys.session_of(rest.substr(0, kSessionChars));
  if (!session) return {};
  file.session = *session;
  rest.remove_prefix(kSessionChars);
  if (file.kind == FileKind::kJournal) return rest.empty() ? std::optional(file) : std::nullopt;
  if (rest.size() != 1 + kNumberChars || rest[0] != '-') return {};
  std::from_chars(rest.data() + 1, rest.data() + rest.size(), file.number, 16);
  if (numbered_name(prefix->text, keys, file.session, file.number) != name) return {};
  return file;
}

}  // namespace zferry::store
