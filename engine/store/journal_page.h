// The clear header before each page of a journal, for the journal's writer and reader. docs/STORE.md, "Journal".
#pragma once

#include <array>
#include <optional>

#include "store/journal.h"

namespace zferry::store {

struct PageHeader {
  std::uint32_t plain_bytes = 0;  // 1..kPageBytesMax
  std::uint64_t commit = 0;       // from 1
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
