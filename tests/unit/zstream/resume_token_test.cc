#include "zstream/resume_token.h"

#include <gtest/gtest.h>

#include "unit/zstream/resumable_streams.h"

namespace zferry::zstream {
namespace {

using testing::encode_token;
using testing::NvlistBuilder;
using Encoding = NvlistBuilder::Encoding;

// Of OpenZFS 2.3.9, and what `zfs send -nvt` said of it.
constexpr std::string_view kReal =
    "1-adaf75602-b8-"
    "789c636064000310a500c4ec50360710e72765a526973030bc6386a8c1904f4b2b4e2d01c9d8c0e5d990e4932a4b528b81b4c3"
    "1423466cfa4bf2d34b335318187e063ce0e539b1214e03499e132c9f97989b0aa413f3b2f50b721233f31c8a0d214e610000b0871851";

void expect_equal(const ResumeToken& a, const ResumeToken& b) {
  EXPECT_EQ(a.object, b.object);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.bytes, b.bytes);
  EXPECT_EQ(a.toguid, b.toguid);
  EXPECT_EQ(a.fromguid, b.fromguid);
  EXPECT_EQ(a.toname, b.toname);
  EXPECT_EQ(a.large_blocks, b.large_blocks);
  EXPECT_EQ(a.embedded, b.embedded);
  EXPECT_EQ(a.compressed, b.compressed);
  EXPECT_EQ(a.raw, b.raw);
}

TEST(ResumeToken, ARealOne) {
  for (const char* end : {"", "\n", " \r\n"}) {
    const auto token = decode_resume_token(std::string(kReal) + end);
    ASSERT_TRUE(token) << token.error().what;
    EXPECT_EQ(token->object, 0x3eeu);
    EXPECT_EQ(token->offset, 0x3c0000u);
    EXPECT_EQ(token->toguid, 0x5eb0c80c0de050f9u);
    EXPECT_EQ(token->fromguid, 0u);
    EXPECT_EQ(token->toname, "tank/plain@s1");
    EXPECT_GT(token->bytes, 0u);
    EXPECT_FALSE(token->large_blocks || token->embedded || token->compressed || token->raw);
  }
}

TEST(ResumeToken, WhatWasEncodedComesBack) {
  SeededRandom random(61);
  int compared = 0;
  for (int round = 0; round < 300; ++round) {
    ResumeToken token{.object = random.below(1u << 30),
                      .offset = random.below(1u << 30) * 512,
                      .bytes = random.below(1u << 30),
                      .toguid = random.below(~std::uint64_t{0}),
                      .fromguid = round % 2 == 0 ? 0 : random.below(~std::uint64_t{0}),
                      .toname = "tank/" + std::string(random.below(200), 'x') + "@s",
                      .large_blocks = random.below(2) == 0,
                      .embedded = random.below(2) == 0,
                      .compressed = random.below(2) == 0,
                      .raw = random.below(2) == 0};
    for (Encoding encoding : {Encoding::kNative, Encoding::kXdr, Encoding::kNativeSwapped}) {
      const auto decoded = decode_resume_token(encode_token(token, encoding));
      ASSERT_TRUE(decoded) << decoded.error().what;
      expect_equal(*decoded, token);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 900);
}

void expect_refused(std::string_view text, std::string_view why) {
  const auto token = decode_resume_token(text);
  ASSERT_FALSE(token) << text.substr(0, 200);
  EXPECT_EQ(token.error().fault, Fault::kStreamDamaged);
  EXPECT_NE(token.error().what.find(why), std::string::npos) << token.error().what;
}

TEST(ResumeToken, SaysWhatIsWrong) {
  expect_refused("", "there is none");
  expect_refused("-", "there is none");
  expect_refused("-\n", "there is none");
  expect_refused("2" + std::string(kReal.substr(1)), "version");
  expect_refused("1\x1b[2J", "\\x1b");
  expect_refused("1", "no token");
  expect_refused("1-adaf75602", "no token");
  expect_refused("1-adaf75602-b8-", "no token");
  expect_refused("1-adaf75602-b8-789", "no token");
  expect_refused("1-adaf75602-b8-78zz", "no token");
  expect_refused("1-adaf75602-b8-+7-7", "no token");
  expect_refused("1-1adaf75602adaf75602-b8-789c", "no token");
  expect_refused(std::string(kReal.substr(0, kReal.size() - 8)), "checksum");
  std::string other = std::string(kReal);
  other.replace(12, 2, "b7");
  expect_refused(other, "decompressed");
  other.replace(12, 2, "b9");
  expect_refused(other, "decompressed");
  other.replace(12, 2, "ffffffffffffffff");
  expect_refused(other, "claims");
  expect_refused(std::string(1u << 20, '1'), "characters long");
}

TEST(ResumeToken, HostileContent) {
  const std::vector<std::byte> zeros(std::size_t{10} << 20);
  std::string bomb = encode_token(zeros);  // 10 KB of it: what it claims is checked before anything is inflated
  expect_refused(bomb, "claims");
  const auto dash = bomb.find('-', 2);
  bomb.replace(dash + 1, bomb.find('-', dash + 1) - dash - 1, "10000");
  expect_refused(bomb, "decompressed");
  expect_refused(encode_token(ConstBytes()), "name-value list");
  expect_refused(encode_token(ConstBytes(zeros).first(100)), "where in which snapshot");
  expect_refused(encode_token(NvlistBuilder(Encoding::kNative).number("object", 1).number("offset", 2).finish()),
                 "where in which snapshot");
  expect_refused(encode_token(NvlistBuilder(Encoding::kNative)
                                  .open("in")
                                  .number("object", 1)
                                  .number("offset", 2)
                                  .number("toguid", 3)
                                  .close()
                                  .finish()),
                 "where in which snapshot");
  // Content cut and flipped at every byte, with a checksum that is right.
  const auto whole = NvlistBuilder(Encoding::kNative)
                         .number("object", 1)
                         .number("offset", 2)
                         .number("toguid", 3)
                         .text("toname", "a@b")
                         .boolean("rawok")
                         .finish();
  SeededRandom random(62);
  int refused = 0, taken = 0;
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_FALSE(decode_resume_token(encode_token(ConstBytes(whole).first(bytes)))) << bytes;
    ++refused;
  }
  for (int round = 0; round < 5000; ++round) {
    auto damaged = whole;
    for (int flips = 0; flips < 1 + round % 3; ++flips) {
      damaged[random.below(damaged.size())] = static_cast<std::byte>(random.below(256));
    }
    decode_resume_token(encode_token(damaged)) ? ++taken : ++refused;
  }
  EXPECT_EQ(refused + taken, 5000 + static_cast<int>(whole.size()));
  EXPECT_GT(refused, 1000);
  EXPECT_GT(taken, 500);  // other numbers and names are no damage that a reader could see
}

TEST(ResumeToken, AnyCharacterChangedIsFound) {
  const std::string real(kReal);
  int changed = 0;
  for (std::size_t at = 0; at < real.size(); ++at) {
    for (char other : {'0', 'f', '-', 'x', '\0'}) {
      std::string damaged = real;
      if (damaged[at] == other) continue;
      damaged[at] = other;
      EXPECT_FALSE(decode_resume_token(damaged)) << at << " " << other;
      ++changed;
    }
    EXPECT_FALSE(decode_resume_token(real.substr(0, at))) << at;
  }
  EXPECT_GT(changed, 1000);
}

}  // namespace
}  // namespace zferry::zstream
