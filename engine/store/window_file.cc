#include "store/window_file.h"

#include <algorithm>

#include "store/file_names.h"
#include "store/page_reader.h"

namespace zferry::store {
namespace {

constexpr std::size_t kStartBytes = 32, kUseBytes = 44;
constexpr std::size_t kUsesAPage = 2048;
static_assert(kStartBytes + kUsesAPage * kUseBytes <= kPageBytesMax);

Status write_pages(SealedFile& file, const WindowNotes& notes) {
  std::vector<std::byte> page(kStartBytes);
  store_at(Bytes(page), 0, notes.generation);
  store_at(Bytes(page), 8, notes.savings.looked_bytes);
  store_at(Bytes(page), 16, notes.savings.found_bytes);
  store_at(Bytes(page), 24, notes.savings.sessions);
  std::uint64_t serial = 0;
  for (std::size_t i = 0; i < notes.uses.size(); ++i) {
    if (i > 0 && i % kUsesAPage == 0) {
      if (Status status = append_page(file, page, ++serial); !status) return status;
      page.clear();
    }
    const std::size_t at = page.size();
    page.resize(at + kUseBytes);
    std::ranges::copy(notes.uses[i].session, page.begin() + static_cast<std::ptrdiff_t>(at));
    store_at(Bytes(page), at + 32, notes.uses[i].segment);
    store_at(Bytes(page), at + 36, notes.uses[i].generation);
  }
  return append_page(file, page, ++serial);
}

void read_uses(ConstBytes page, WindowNotes& notes) {
  for (; page.size() >= kUseBytes; page = page.subspan(kUseBytes)) {
    LastUse use;
    std::ranges::copy(page.first(use.session.size()), use.session.begin());
    use.segment = load<std::uint32_t>(page, 32);
    use.generation = load<std::uint64_t>(page, 36);
    notes.uses.push_back(use);
  }
}

}  // namespace

std::uint64_t window_file_bytes(std::size_t uses) {
  const std::size_t pages = std::max<std::size_t>(1, (uses + kUsesAPage - 1) / kUsesAPage);
  return kHeaderBytes + kStartBytes + uses * kUseBytes + pages * (kPageHeaderBytes + seal::kTagBytes);
}

WindowNotes read_window(io::Folder& folder, const StoreKeys& keys) {
  WindowNotes notes;
  auto file = folder.open(kWindowName);
  if (!file) return notes;
  PageReader reader(**file, kWindowName);
  if (!reader.open(keys, FileKind::kWindow, 0, {})) return notes;
  std::uint64_t at = kHeaderBytes;
  for (std::uint64_t serial = 1;; ++serial) {
    auto page = reader.page_at(at);
    if (!page || !*page || (*page)->header.commit != serial) return notes;
    ConstBytes plain = (*page)->plain;
    if (serial == 1) {
      if (plain.size() < kStartBytes) return notes;
      notes.generation = load<std::uint64_t>(plain, 0);
      notes.savings = {load<std::uint64_t>(plain, 8), load<std::uint64_t>(plain, 16), load<std::uint64_t>(plain, 24)};
      plain = plain.subspan(kStartBytes);
    }
    read_uses(plain, notes);
    at = (*page)->end;
  }
}

Status write_window(io::Folder& folder, const StoreKeys& keys, seal::Cipher cipher, RandomSource& random,
                    const WindowNotes& notes) {
  if (Status status = folder.remove(kNewWindowName); !status) return status;
  auto file = SealedFile::create(folder, kNewWindowName, make_header(keys, FileKind::kWindow, 0, {}, cipher, random));
  if (!file) return file.take_error();
  Status status = write_pages(*file, notes);
  if (status) status = file->sync();
  if (status) status = folder.rename(kNewWindowName, kWindowName);
  // What stays of it goes when the store is opened, if not now.
  if (!status) [[maybe_unused]]
    const Status removed = folder.remove(kNewWindowName);
  return status;
}

}  // namespace zferry::store
