// The clear header before each page of a journal, of a segment's chunks and of the window. docs/STORE.md, "Journal".
// Threading: any.
#pragma once

#include <array>
#include <optional>

#include "base/bytes.h"
#include "store/records.h"

namespace zferry::store {

inline constexpr std::size_t kPageHeaderBytes = 16;

struct PageHeader {
  std::uint32_t plain_bytes = 0;  // 1..kPageBytesMax
  std::uint64_t commit = 0;       // from 1; in other files than journals, the page's number
};

inline constexpr std::uint32_t kPageMagic = 0x67706a7a;  // "zjpg"

inline std::array<std::byte, kPageHeaderBytes> encode(const PageHeader& header) {
  std::array<std::byte, kPageHeaderBytes> bytes;
  store_at<std::uint32_t>(Bytes(bytes), 0, kPageMagic);
  store_at(Bytes(bytes), 4, header.plain_bytes);
  store_at(Bytes(bytes), 8, header.commit);
  return bytes;
}

inline std::optional<PageHeader> decode_page_header(ConstBytes bytes) {
  if (bytes.size() < kPageHeaderBytes || load<std::uint32_t>(bytes) != kPageMagic) return {};
  const PageHeader header{load<std::uint32_t>(bytes, 4), load<std::uint64_t>(bytes, 8)};
  if (header.plain_bytes == 0 || header.plain_bytes > kPageBytesMax) return {};
  return header;
}

}  // namespace zferry::store
