// The names of a store's files. docs/STORE.md, "The folder". Threading: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "store/file_header.h"

namespace zferry::store {

inline constexpr const char* kFormatName = "format";
inline constexpr const char* kNewFormatName = "new-format";
inline constexpr const char* kWindowName = "window";
inline constexpr const char* kNewWindowName = "new-window";

std::string journal_name(const StoreKeys& keys, const SessionId& session);
// Under which it is written, until it takes the place of the one before it.
std::string new_journal_name(const StoreKeys& keys, const SessionId& session);
std::string segment_name(const StoreKeys& keys, const SessionId& session, std::uint32_t number);
// Of the chunks of that segment.
std::string chunks_name(const StoreKeys& keys, const SessionId& session, std::uint32_t number);

// Written by an earlier opening and never put in its place.
bool is_unfinished(const std::string& name);

struct NamedFile {
  FileKind kind = FileKind::kJournal;
  SessionId session{};
  std::uint32_t number = 0;
};
// Nothing for what is neither a journal, nor a segment, nor a segment's chunks.
std::optional<NamedFile> parse_name(const StoreKeys& keys, const std::string& name);

}  // namespace zferry::store
