// Saved fields: there and back, within their bounds, never past the end.
#include "base/saved.h"

#include <gtest/gtest.h>

namespace zferry {
namespace {

enum class Colour { kRed, kGreen, kBlue };

std::vector<std::byte> all_fields() {
  SavedWriter out(7);
  out.integer(std::uint8_t{200}).integer(std::uint32_t{0x01020304}).integer(std::int64_t{-5}).flag(true).flag(false);
  out.enumerator(Colour::kBlue).array(as_bytes("abc")).bytes(as_bytes("some")).text("").text("words");
  return out.take();
}

Status read_all(ConstBytes saved, std::uint32_t version = 7) {
  SavedReader in("a thing", version, saved);
  const bool same = in.integer<std::uint8_t>("small", 200, 201) == 200 &&
                    in.integer<std::uint32_t>("number") == 0x01020304 && in.integer<std::int64_t>("minus") == -5 &&
                    in.flag("yes") && !in.flag("no") && in.enumerator("colour", Colour::kBlue) == Colour::kBlue &&
                    as_text(in.array<3>("array")) == "abc" && as_text(in.bytes("bytes", 4)) == "some" &&
                    in.text("empty", 0).empty() && in.text("words", 5) == "words";
  EXPECT_EQ(same, in.ok());
  return in.finish();
}

TEST(Saved, ThereAndBack) {
  const std::vector<std::byte> saved = all_fields();
  EXPECT_TRUE(read_all(saved));
  EXPECT_EQ(to_hex(ConstBytes(saved).first(9)), "07000000c804030201") << "little-endian, nothing between";
}

TEST(Saved, EveryCutAndMoreIsRefused) {
  std::vector<std::byte> saved = all_fields();
  std::size_t refused = 0;
  for (std::size_t bytes = 0; bytes < saved.size(); ++bytes) {
    // A copy of this length, so that a sanitizer sees reads beyond it.
    const std::vector<std::byte> cut(saved.begin(), saved.begin() + static_cast<std::ptrdiff_t>(bytes));
    const Status status = read_all(cut);
    if (!status && status.error().fault == Fault::kStoreFailed) ++refused;
  }
  EXPECT_EQ(refused, saved.size());
  saved.push_back(std::byte{0});
  SavedReader in("a thing", 7, saved);
  EXPECT_FALSE(in.finish());
  EXPECT_FALSE(read_all(all_fields(), 8));
}

TEST(Saved, WhatIsOutOfBoundsIsNamed) {
  SavedWriter out(1);
  out.integer(std::uint32_t{9}).integer(std::uint8_t{3}).bytes(as_bytes("long")).integer(~std::uint32_t{0});
  const std::vector<std::byte> saved = out.take();
  auto what = [&saved](auto read) {
    SavedReader in("a thing", 1, saved);
    read(in);
    EXPECT_FALSE(in.ok());
    EXPECT_EQ(in.integer<std::uint8_t>("later"), 0) << "nothing is given after a failure";
    EXPECT_TRUE(in.bytes("later", 100).empty());
    return in.finish().error().what;
  };
  auto names = [&what](auto read, const char* field) {
    const std::string words = what(read);
    EXPECT_NE(words.find("a thing"), std::string::npos) << words;
    EXPECT_TRUE(words.ends_with(std::string("bad ") + field)) << words;
  };
  names([](SavedReader& in) { EXPECT_EQ(in.integer<std::uint32_t>("nine", 0, 8), 0u); }, "nine");
  names([](SavedReader& in) { EXPECT_EQ(in.integer<std::uint32_t>("nine", 10, 20), 0u); }, "nine");
  auto to_three = [](SavedReader& in) -> SavedReader& { return in.integer<std::uint32_t>("nine"), in; };
  auto to_long = [&](SavedReader& in) -> SavedReader& { return to_three(in).integer<std::uint8_t>("three"), in; };
  auto to_end = [&](SavedReader& in) -> SavedReader& { return to_long(in).text("words", 4), in; };
  names([&](SavedReader& in) { EXPECT_EQ(to_three(in).enumerator("colour", Colour::kBlue), Colour::kRed); }, "colour");
  names([&](SavedReader& in) { EXPECT_FALSE(to_three(in).flag("flag")); }, "flag");
  names([&](SavedReader& in) { EXPECT_TRUE(to_long(in).bytes("words", 3).empty()); }, "words");
  names([&](SavedReader& in) { EXPECT_TRUE(to_end(in).bytes("huge", ~std::size_t{0}).empty()); }, "huge");
  names([&](SavedReader& in) { EXPECT_FALSE(to_end(in).check("sense", false) || in.check("other", true)); }, "sense");
}

}  // namespace
}  // namespace zferry
