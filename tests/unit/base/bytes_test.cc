// Byte spans, integers in and out of them, and text made safe.
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>

namespace zferry {
namespace {

TEST(Bytes, LoadAndStoreAtAnyOffset) {
  std::array<std::byte, 16> buffer{};
  for (std::size_t at = 0; at + 8 <= buffer.size(); ++at) {
    store_at(Bytes(buffer), at, std::uint64_t{0x0807060504030201} + at);
    EXPECT_EQ(load<std::uint64_t>(buffer, at), 0x0807060504030201 + at);
    EXPECT_EQ(buffer[at], static_cast<std::byte>(1 + at));  // little-endian
  }
}

TEST(Bytes, LoadAndStoreStayInside) {
  std::array<std::byte, 7> buffer{};
  EXPECT_DEATH(load<std::uint64_t>(buffer), "does not hold");
  EXPECT_DEATH(load<std::uint8_t>(buffer, 7), "does not hold");
  EXPECT_DEATH(load<std::uint32_t>(buffer, ~std::size_t{0}), "does not hold");
  EXPECT_DEATH(store_at(Bytes(buffer), 4, std::uint32_t{1}), "does not hold");
}

TEST(Bytes, Swap) {
  EXPECT_EQ(swap_bytes(std::uint16_t{0x0102}), 0x0201);
  EXPECT_EQ(swap_bytes(std::uint32_t{0x01020304}), 0x04030201u);
  EXPECT_EQ(swap_bytes(std::uint64_t{0x0102030405060708}), 0x0807060504030201u);
}

TEST(Bytes, Hex) {
  EXPECT_EQ(to_hex({}), "");
  EXPECT_EQ(to_hex(as_bytes(std::string_view("\x00\x7f\xff", 3))), "007fff");
  EXPECT_EQ(as_text(as_bytes("text")), "text");
}

TEST(Escaped, LeavesOnlyPrintableAscii) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const std::string safe = escaped(all);
  for (char c : safe) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  EXPECT_EQ(escaped("plain text, \"quoted\""), "plain text, \"quoted\"");
  EXPECT_EQ(escaped("\x1b[2Jx\n\xc3\xa9\\"), "\\x1b[2Jx\\x0a\\xc3\\xa9\\x5c");
}

TEST(Escaped, IsCut) {
  EXPECT_EQ(escaped("abcdef", 6), "abcdef");
  EXPECT_EQ(escaped("abcdefg", 6), "abcdef...");
  EXPECT_EQ(escaped(std::string(1000, 'x')).size(), 512u + 3);
}

}  // namespace
}  // namespace zferry
