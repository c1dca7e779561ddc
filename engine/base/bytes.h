// Byte spans, and integers in and out of them, little-endian unless named otherwise. Callers check lengths first.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/assert.h"

namespace zferry {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

static_assert(std::endian::native == std::endian::little, "big-endian hosts are not supported yet");

// REQUIRES: offset + sizeof(T) <= from.size().
template <class T>
T load(ConstBytes from, std::size_t offset = 0) {
  ZF_ASSERT(offset <= from.size() && sizeof(T) <= from.size() - offset);
  T value;
  std::memcpy(&value, from.data() + offset, sizeof(T));
  return value;
}

// REQUIRES: offset + sizeof(T) <= to.size().
template <class T>
void store_at(Bytes to, std::size_t offset, T value) {
  ZF_ASSERT(offset <= to.size() && sizeof(T) <= to.size() - offset);
  std::memcpy(to.data() + offset, &value, sizeof(T));
}

// REQUIRES: from.size() <= to.size(); they do not overlap.
inline void copy_bytes(ConstBytes from, Bytes to) {
  ZF_ASSERT(from.size() <= to.size());
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

inline std::uint16_t swap_bytes(std::uint16_t v) { return __builtin_bswap16(v); }
inline std::uint32_t swap_bytes(std::uint32_t v) { return __builtin_bswap32(v); }
inline std::uint64_t swap_bytes(std::uint64_t v) { return __builtin_bswap64(v); }

inline ConstBytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ConstBytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline const unsigned char* as_uchar(ConstBytes bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
inline unsigned char* as_uchar(Bytes bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

std::string to_hex(ConstBytes bytes);
// Text from outside, made safe for terminals and reports: control and non-ASCII bytes become \xNN; cut at `bytes_max`.
std::string escaped(std::string_view text, std::size_t bytes_max = 512);

}  // namespace zferry
