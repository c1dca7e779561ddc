#include "store/page_reader.h"

#include <algorithm>

namespace zferry::store {

static_assert(PageReader::kViewBytesMax >= kPageHeaderBytes + kPageBytesMax + seal::kTagBytes);

Status PageReader::open(const StoreKeys& keys, FileKind kind, std::uint32_t number, const SessionId& session) {
  auto bytes = view(0, kHeaderBytes);
  if (!bytes) return bytes.take_error();
  auto key = open_header(keys, *bytes, kind, number, session, name_);
  if (!key) return key.take_error();
  opener_.emplace(key->cipher, key->key);
  return {};
}

Result<std::optional<PageReader::Page>> PageReader::page_at(std::uint64_t at) {
  auto bytes = view(at, kPageHeaderBytes);
  if (!bytes) return bytes.take_error();
  const auto header = decode_page_header(*bytes);
  if (!header) return std::optional<Page>{};
  const std::size_t sealed_bytes = header->plain_bytes + seal::kTagBytes;
  bytes = view(at, kPageHeaderBytes + sealed_bytes);
  if (!bytes) return bytes.take_error();
  if (bytes->size() < kPageHeaderBytes + sealed_bytes) return std::optional<Page>{};
  if (plain_.size() < header->plain_bytes) plain_.resize(header->plain_bytes);
  const Bytes plain = Bytes(plain_).first(header->plain_bytes);
  if (!opener_->open(at, bytes->first(kPageHeaderBytes), bytes->subspan(kPageHeaderBytes), plain))
    return std::optional<Page>{};
  return std::optional<Page>{Page{*header, plain, at + bytes->size()}};
}

Result<ConstBytes> PageReader::view(std::uint64_t at, std::size_t bytes) {
  if (at < window_at_ || at + bytes > window_at_ + window_bytes_) {
    // No further than it reached when it was opened: whoever writes it now goes on meanwhile.
    const std::size_t there = std::min<std::uint64_t>(kViewBytesMax, file_.bytes() - std::min(at, file_.bytes()));
    if (window_.size() < there) window_.resize(there);
    auto count = file_.read(at, Bytes(window_).first(there));
    if (!count) return count.take_error();
    window_at_ = at;
    window_bytes_ = *count;
  }
  const std::size_t skipped = at - window_at_;
  return ConstBytes(window_).first(window_bytes_).subspan(skipped, std::min(bytes, window_bytes_ - skipped));
}

Status append_page(SealedFile& file, ConstBytes page, std::uint64_t serial) {
  const auto header = encode(PageHeader{static_cast<std::uint32_t>(page.size()), serial});
  if (auto place = file.append(header, {}, page); !place) return place.take_error();
  return {};
}

}  // namespace zferry::store
