// Sealed pages of a file, one behind the other: of a journal, of a segment's chunks, of the window. docs/STORE.md,
// "Journal". Threading: one thread at a time each.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/folder.h"
#include "store/file_header.h"
#include "store/journal_page.h"
#include "store/sealed_file.h"

namespace zferry::store {

class PageReader {
 public:
  // The file outlives it. `name` for errors.
  PageReader(io::FolderFile& file, std::string name) : file_(file), name_(std::move(name)) {}
  // Errors: as open_header().
  Status open(const StoreKeys& keys, FileKind kind, std::uint32_t number, const SessionId& session);

  struct Page {
    PageHeader header;
    ConstBytes plain;  // until the next call
    std::uint64_t end = 0;
  };
  // Nothing where no page opens at `at`.
  Result<std::optional<Page>> page_at(std::uint64_t at);
  // Up to `bytes` bytes at `at`, fewer where the file ends; until the next call. REQUIRES: bytes <= kViewBytesMax.
  Result<ConstBytes> view(std::uint64_t at, std::size_t bytes);
  static constexpr std::size_t kViewBytesMax = 512 * limits::KiB;

  const std::string& name() const { return name_; }

 private:
  io::FolderFile& file_;
  std::string name_;
  std::optional<seal::RestOpener> opener_;
  std::vector<std::byte> window_, plain_;
  std::uint64_t window_at_ = 0;
  std::size_t window_bytes_ = 0;
};

// One more page, sealed, at the file's end. REQUIRES: 1..kPageBytesMax bytes; serials as the kind of file has them.
Status append_page(SealedFile& file, ConstBytes page, std::uint64_t serial);

}  // namespace zferry::store
