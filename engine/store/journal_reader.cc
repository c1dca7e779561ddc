// Reading a journal back: once to find how far its commits reach, and, where a crash left part of one more, once more
// without that part.
#include "store/file_names.h"
#include "store/journal.h"
#include "store/page_reader.h"

namespace zferry::store {
namespace {

constexpr std::size_t kWindowBytes = PageReader::kViewBytesMax;  // read at a time
constexpr int kTrialsMax = 256;                                  // of pages behind one that does not open

// Behind `at`, where nothing opens, a page of a commit beyond `commit`: that one was synced before the other began.
Result<bool> has_page_behind(PageReader& reader, std::uint64_t at, std::uint64_t commit) {
  int trials = 0;
  for (std::uint64_t from = at + 1;; from += kWindowBytes / 2) {
    auto bytes = reader.view(from, kWindowBytes / 2 + kPageHeaderBytes);
    if (!bytes) return bytes.take_error();
    std::vector<std::uint64_t> candidates;
    for (std::size_t i = 0; i + kPageHeaderBytes <= bytes->size() && i < kWindowBytes / 2; ++i)
      if (const auto header = decode_page_header(bytes->subspan(i)); header && header->commit > commit)
        candidates.push_back(from + i);
    const bool last = bytes->size() < kWindowBytes / 2 + kPageHeaderBytes;
    for (std::uint64_t candidate : candidates) {
      if (++trials > kTrialsMax) return true;  // no torn page looks like that
      auto page = reader.page_at(candidate);
      if (!page) return page.take_error();
      if (*page) return true;
    }
    if (last) return false;
  }
}

struct Reach {
  std::uint64_t committed = 0;  // the end of the last commit
  std::uint64_t read = 0;       // as far as pages opened
};

// Applies pages up to `end`.
Result<Reach> replay(PageReader& reader, std::uint64_t end, SessionContent& content) {
  Replay replay(content);
  Reach reach{0, kHeaderBytes};
  std::uint64_t commit = 1;
  while (reach.read < end) {
    auto page = reader.page_at(reach.read);
    if (!page) return page.take_error();
    if (!*page) break;
    const auto at = [&] { return reader.name() + " at " + std::to_string(reach.read); };
    if ((*page)->header.commit != commit) return failed(at(), "commits are out of order");
    if (Status status = replay.apply((*page)->plain); !status) return failed(at(), status.error().what);
    reach.read = (*page)->end;
    if (!replay.at_commit()) continue;
    reach.committed = reach.read;
    ++commit;
  }
  if (end != ~std::uint64_t{0}) return reach;
  auto damaged = has_page_behind(reader, reach.read, commit);
  if (!damaged) return damaged.take_error();
  if (*damaged || reach.committed == 0) return failed(reader.name() + " at " + std::to_string(reach.read), "damaged");
  return reach;
}

}  // namespace

Result<SessionContent> read_journal(io::Folder& folder, const StoreKeys& keys, const SessionId& session) {
  const std::string name = journal_name(keys, session);
  auto file = folder.open(name);
  if (!file) return file.take_error();
  PageReader reader(**file, name);
  if (Status status = reader.open(keys, FileKind::kJournal, 0, session); !status) return status.take_error();
  SessionContent content;
  auto reach = replay(reader, ~std::uint64_t{0}, content);
  if (!reach) return reach.take_error();
  if (reach->read == reach->committed) return content;
  SessionContent committed;
  if (auto again = replay(reader, reach->committed, committed); !again) return again.take_error();
  return committed;
}

}  // namespace zferry::store
