#include "store/recovery.h"

#include <algorithm>

#include "store/file_names.h"
#include "store/journal.h"

namespace zferry::store {
namespace {

Status write_format(io::Folder& folder, const seal::SecretBytes& key, const StoreId& id) {
  if (Status status = folder.remove(kNewFormatName); !status) return status;
  auto file = folder.create(kNewFormatName);
  if (!file) return file.take_error();
  if (Status status = (*file)->append(encode_format(key, id)); !status) return status;
  if (Status status = (*file)->sync(); !status) return status;
  if (Status status = folder.rename(kNewFormatName, kFormatName); !status) return status;
  return folder.sync();
}

}  // namespace

Result<StoreKeys> open_format(io::Folder& folder, const seal::SecretBytes& key, RandomSource* random) {
  auto entries = folder.list();
  if (!entries) return entries.take_error();
  const bool there = std::ranges::any_of(*entries, [](const auto& entry) { return entry.name == kFormatName; });
  const bool empty = std::ranges::all_of(*entries, [](const auto& entry) { return entry.name == kNewFormatName; });
  if (!there && empty && random) {
    StoreId id;
    random->fill(id);
    if (Status status = write_format(folder, key, id); !status) return status.take_error();
    return StoreKeys(key, id);
  }
  if (!there) {
    return Error{Fault::kStoreFailed, escaped(folder.path()) + ": no store: there is no file \"format\" in it",
                 "give --store a new or an empty folder, or one that zferry made"};
  }
  auto file = folder.open(kFormatName);
  if (!file) return file.take_error();
  std::array<std::byte, kFormatBytes + 1> bytes;
  auto count = (*file)->read(0, bytes);
  if (!count) return count.take_error();
  auto id = decode_format(ConstBytes(bytes).first(*count), key);
  if (!id) {
    Error error = id.take_error();
    error.what = escaped(folder.path()) + "/" + error.what;
    return error;
  }
  return StoreKeys(key, *id);
}

std::uint64_t SessionFiles::bytes() const {
  std::uint64_t sum = journal_bytes.value_or(0);
  for (const auto& [number, bytes] : segment_bytes) sum += bytes;
  for (const auto& [number, bytes] : log_bytes) sum += bytes;
  return sum;
}

bool SessionFiles::is_own(const SessionContent& content, std::uint32_t segment) const {
  return content.segments().contains(segment) || !log_bytes.contains(segment);
}

std::uint64_t SessionFiles::own_bytes(const SessionContent& content) const {
  std::uint64_t sum = journal_bytes.value_or(0);
  for (const auto& [number, bytes] : segment_bytes) {
    if (!is_own(content, number)) continue;
    const auto log = log_bytes.find(number);
    sum += bytes + (log == log_bytes.end() ? 0 : log->second);
  }
  return sum;
}

bool StoreFiles::has(const PinnedSegment& segment) const {
  const auto session = sessions.find(segment.session);
  return session != sessions.end() && session->second.segment_bytes.contains(segment.number);
}

Result<StoreFiles> list_files(io::Folder& folder, const StoreKeys& keys) {
  auto entries = folder.list();
  if (!entries) return entries.take_error();
  StoreFiles files;
  for (const io::FolderEntry& entry : *entries) {
    if (is_unfinished(entry.name)) files.unfinished.push_back(entry.name);
    if (entry.name == kFormatName || entry.name == kWindowName) files.other_bytes += entry.bytes;
    if (entry.name == kWindowName) files.window_bytes = entry.bytes;
    const auto named = parse_name(keys, entry.name);
    if (!named) continue;  // not ours
    SessionFiles& session = files.sessions[named->session];
    if (named->kind == FileKind::kJournal) session.journal_bytes = entry.bytes;
    if (named->kind == FileKind::kChunks) session.log_bytes[named->number] = entry.bytes;
    if (named->kind == FileKind::kSegment) session.segment_bytes[named->number] = entry.bytes;
  }
  return files;
}

Result<SessionContent> recover_session(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                       const StoreFiles& files) {
  auto content = read_journal(folder, keys, session);
  if (!content) return content.take_error();
  if (Status status = find_segments(keys, session, files, *content); !status) return status.take_error();
  // Of a later block that needs it too the journal learns only where a checkpoint would make it forget the pin.
  if (!content->blocks().empty())
    for (auto& [segment, pin] : content->pins()) pin.number = std::max(pin.number, content->blocks().rbegin()->first);
  return content;
}

Status find_segments(const StoreKeys& keys, const SessionId& session, const StoreFiles& files,
                     SessionContent& content) {
  const auto& segment_bytes = files.sessions.at(session).segment_bytes;
  for (auto& [number, segment] : content.segments()) {
    const auto found = segment_bytes.find(number);
    if (found != segment_bytes.end()) segment.file_bytes = found->second;
    // What the journal names was synced before it: that it is missing is damage, not a crash.
    if (segment.blocks > 0 && segment.file_bytes < segment.end)
      return failed(segment_name(keys, session, number),
                    "missing, or cut off at " + std::to_string(segment.file_bytes));
  }
  for (const auto& [segment, pin] : content.pins())
    if (!files.has(segment))
      return failed(segment_name(keys, segment.session, segment.number), "missing, and blocks are made of it");
  return {};
}

std::vector<std::uint32_t> unneeded_segments(const SessionFiles& files, const SessionContent& content) {
  std::vector<std::uint32_t> unneeded;
  for (const auto& [number, bytes] : files.segment_bytes) {
    const auto segment = content.segments().find(number);
    if (segment == content.segments().end() || segment->second.blocks == 0) unneeded.push_back(number);
  }
  return unneeded;
}

SessionSummary summary_of(const SessionId& id, const SessionContent& content) {
  SessionSummary summary;
  summary.id = id;
  summary.label = content.label;
  summary.begun_unix_s = content.begun_unix_s;
  summary.first_number = content.first();
  summary.next_number = content.next();
  summary.blocks = content.blocks().size();
  summary.packed_bytes = content.packed_bytes();
  const auto& blocks = content.blocks();
  if (const auto first = blocks.find(summary.first_number); first != blocks.end())
    summary.first_offset = first->second.offset;
  const auto next = blocks.lower_bound(summary.next_number);
  if (summary.next_number > summary.first_number && next != blocks.begin()) {
    const BlockFacts& last = std::prev(next)->second;
    summary.next_offset = last.offset + last.raw_bytes;
  }
  return summary;
}

}  // namespace zferry::store
