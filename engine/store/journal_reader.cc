// Reading a journal back: once to find how far its commits reach, and, where a crash left part of one more, once more
// without that part.
#include <algorithm>

#include "store/file_names.h"
#include "store/journal.h"
#include "store/journal_page.h"

namespace zferry::store {
namespace {

constexpr std::size_t kWindowBytes = 512 * limits::KiB;  // read at a time
constexpr int kTrialsMax = 256;                          // of pages behind one that does not open
static_assert(kWindowBytes >= kPageHeaderBytes + kPageBytesMax + seal::kTagBytes);

class Reader {
 public:
  Reader(io::FolderFile& file, std::string name) : file_(file), name_(std::move(name)) {}

  Status open(const StoreKeys& keys, const SessionId& session) {
    auto bytes = view(0, kHeaderBytes);
    if (!bytes) return bytes.take_error();
    auto key = open_header(keys, *bytes, FileKind::kJournal, 0, session, name_);
    if (!key) return key.take_error();
    opener_.emplace(key->cipher, key->key);
    return {};
  }

  struct Page {
    PageHeader header;
    ConstBytes plain;  // until the next call
    std::uint64_t end = 0;
  };
  // Nothing where no page opens at `at`.
  Result<std::optional<Page>> page_at(std::uint64_t at) {
    auto bytes = view(at, kPageHeaderBytes);
    if (!bytes) return bytes.take_error();
    const auto header = decode_page_header(*bytes);
    if (!header) return std::optional<Page>{};
    const std::size_t sealed_bytes = header->plain_bytes + seal::kTagBytes;
    bytes = view(at, kPageHeaderBytes + sealed_bytes);
    if (!bytes) return bytes.take_error();
    if (bytes->size() < kPageHeaderBytes + sealed_bytes) return std::optional<Page>{};
    plain_.resize(kPageBytesMax);
    const Bytes plain = Bytes(plain_).first(header->plain_bytes);
    if (!opener_->open(at, bytes->first(kPageHeaderBytes), bytes->subspan(kPageHeaderBytes), plain))
      return std::optional<Page>{};
    return std::optional<Page>{Page{*header, plain, at + bytes->size()}};
  }

  // Behind `at`, where nothing opens, a page of a commit beyond `commit`: that one was synced before the other began.
  Result<bool> has_page_behind(std::uint64_t at, std::uint64_t commit) {
    int trials = 0;
    for (std::uint64_t from = at + 1;; from += kWindowBytes / 2) {
      auto bytes = view(from, kWindowBytes / 2 + kPageHeaderBytes);
      if (!bytes) return bytes.take_error();
      std::vector<std::uint64_t> candidates;
      for (std::size_t i = 0; i + kPageHeaderBytes <= bytes->size() && i < kWindowBytes / 2; ++i)
        if (const auto header = decode_page_header(bytes->subspan(i)); header && header->commit > commit)
          candidates.push_back(from + i);
      const bool last = bytes->size() < kWindowBytes / 2 + kPageHeaderBytes;
      for (std::uint64_t candidate : candidates) {
        if (++trials > kTrialsMax) return true;  // no torn page looks like that
        auto page = page_at(candidate);
        if (!page) return page.take_error();
        if (*page) return true;
      }
      if (last) return false;
    }
  }

  const std::string& name() const { return name_; }

 private:
  // Up to `bytes` bytes at `at`, fewer where the file ends; until the next call.
  Result<ConstBytes> view(std::uint64_t at, std::size_t bytes) {
    if (at < window_at_ || at + bytes > window_at_ + window_bytes_) {
      window_.resize(kWindowBytes);
      // No further than it reached when it was opened: whoever writes it now goes on meanwhile.
      const std::size_t there = std::min<std::uint64_t>(kWindowBytes, file_.bytes() - std::min(at, file_.bytes()));
      auto count = file_.read(at, Bytes(window_).first(there));
      if (!count) return count.take_error();
      window_at_ = at;
      window_bytes_ = *count;
    }
    const std::size_t skipped = at - window_at_;
    return ConstBytes(window_).first(window_bytes_).subspan(skipped, std::min(bytes, window_bytes_ - skipped));
  }

  io::FolderFile& file_;
  std::string name_;
  std::optional<seal::RestOpener> opener_;
  std::vector<std::byte> window_, plain_;
  std::uint64_t window_at_ = 0;
  std::size_t window_bytes_ = 0;
};

struct Reach {
  std::uint64_t committed = 0;  // the end of the last commit
  std::uint64_t read = 0;       // as far as pages opened
};

// Applies pages up to `end`.
Result<Reach> replay(Reader& reader, std::uint64_t end, SessionContent& content) {
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
  auto damaged = reader.has_page_behind(reach.read, commit);
  if (!damaged) return damaged.take_error();
  if (*damaged || reach.committed == 0) return failed(reader.name() + " at " + std::to_string(reach.read), "damaged");
  return reach;
}

}  // namespace

Result<SessionContent> read_journal(io::Folder& folder, const StoreKeys& keys, const SessionId& session) {
  const std::string name = journal_name(keys, session);
  auto file = folder.open(name);
  if (!file) return file.take_error();
  Reader reader(**file, name);
  if (Status status = reader.open(keys, session); !status) return status.take_error();
  SessionContent content;
  auto reach = replay(reader, ~std::uint64_t{0}, content);
  if (!reach) return reach.take_error();
  if (reach->read == reach->committed) return content;
  SessionContent committed;
  if (auto again = replay(reader, reach->committed, committed); !again) return again.take_error();
  return committed;
}

}  // namespace zferry::store
