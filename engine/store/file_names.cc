#include "store/file_names.h"

#include <charconv>
#include <cstdio>

namespace zferry::store {
namespace {

constexpr std::string_view kJournal = "journal-", kSegment = "segment-", kNew = "new-";
constexpr std::size_t kSessionChars = 2 * sizeof(SessionId), kNumberChars = 8;

}  // namespace

std::string journal_name(const StoreKeys& keys, const SessionId& session) {
  return std::string(kJournal) + keys.name_of(session);
}

std::string new_journal_name(const StoreKeys& keys, const SessionId& session) {
  return std::string(kNew) + journal_name(keys, session);
}

std::string segment_name(const StoreKeys& keys, const SessionId& session, std::uint32_t number) {
  char digits[kNumberChars + 1];
  std::snprintf(digits, sizeof digits, "%08x", number);
  return std::string(kSegment) + keys.name_of(session) + "-" + digits;
}

bool is_unfinished(const std::string& name) { return name.starts_with(kNew); }

std::optional<NamedFile> parse_name(const StoreKeys& keys, const std::string& name) {
  const bool segment = name.starts_with(kSegment);
  if (!segment && !name.starts_with(kJournal)) return {};
  std::string_view rest = std::string_view(name).substr(segment ? kSegment.size() : kJournal.size());
  NamedFile file;
  file.kind = segment ? FileKind::kSegment : FileKind::kJournal;
  const auto session = keys.session_of(rest.substr(0, kSessionChars));
  if (!session) return {};
  file.session = *session;
  rest.remove_prefix(kSessionChars);
  if (segment) {
    if (rest.size() != 1 + kNumberChars || rest[0] != '-') return {};
    std::from_chars(rest.data() + 1, rest.data() + rest.size(), file.number, 16);
    if (segment_name(keys, file.session, file.number) != name) return {};
  } else if (!rest.empty()) {
    return {};
  }
  return file;
}

}  // namespace zferry::store
