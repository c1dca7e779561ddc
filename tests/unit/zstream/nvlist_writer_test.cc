#include "zstream/nvlist_writer.h"

#include <gtest/gtest.h>

#include <array>

#include "unit/zstream/sample_streams.h"
#include "zstream/nvlist.h"

namespace zferry::zstream {
namespace {

using testing::NvlistBuilder;
using Encoding = NvlistBuilder::Encoding;

constexpr std::array<NvNumber, 2> kPlace{{{"resume_object", 0x3ee}, {"resume_offset", 0x3c0000}}};

std::vector<std::byte> padded(std::vector<std::byte> list) {
  if (list[0] == std::byte{1}) list.resize((list.size() + 7) / 8 * 8);
  return list;
}

// The builder leaves out how long a pair of XDR is in memory, which readers of ours do not look at either.
std::vector<std::byte> without_memory_sizes(std::vector<std::byte> list) {
  class Pairs : public NvVisitor {
   public:
    void pair(int, std::string_view, std::size_t from, std::size_t) override { starts_.push_back(from); }
    std::vector<std::size_t> starts_;
  };
  Pairs pairs;
  EXPECT_TRUE(read_nvlist(list, pairs));
  if (list[0] == std::byte{1}) {
    for (std::size_t start : pairs.starts_) store_at(Bytes(list), start + 4, std::uint32_t{0});
  }
  return list;
}

TEST(NvlistWriter, MakesWhatZfsMakes) {
  const auto native = make_nvlist(kPlace, NvEncoding::kNative);
  EXPECT_EQ(native.size(), 96u);
  EXPECT_EQ(
      native,
      padded(
          NvlistBuilder(Encoding::kNative).number("resume_object", 0x3ee).number("resume_offset", 0x3c0000).finish()));
  // Such a list OpenZFS has taken.
  const std::string xdr = "0101000000000000000000010000002c000000280000000d" + to_hex(as_bytes("resume_object")) +
                          "000000000000080000000100000000000003ee0000002c000000280000000d" +
                          to_hex(as_bytes("resume_offset")) +
                          "000000000000080000000100000000003c0000000000000000000000000000";
  EXPECT_EQ(to_hex(make_nvlist(kPlace, NvEncoding::kXdr)), xdr);
}

TEST(NvlistWriter, SetsNumbersBeforeTheFirstList) {
  int compared = 0;
  for (Encoding encoding : {Encoding::kNative, Encoding::kXdr, Encoding::kNativeSwapped}) {
    auto build = [&](bool with, std::uint64_t object, std::uint64_t offset) {
      NvlistBuilder list(encoding);
      list.boolean("flag").text("name", "some text").number("other", 9);
      if (with) list.number("resume_object", object).number("resume_offset", offset);
      list.open("crypt_keydata").number("resume_object", 5).open("inner").text("t", "x").close().close();
      return padded(list.number("last", 1).finish());
    };
    for (const auto& before : {build(false, 0, 0), build(true, 1, 2)}) {
      const auto set = set_numbers(before, kPlace);
      ASSERT_TRUE(set) << set.error().what;
      EXPECT_EQ(without_memory_sizes(*set), without_memory_sizes(build(true, 0x3ee, 0x3c0000)));
      ++compared;
    }
    const auto alone = set_numbers(NvlistBuilder(encoding).finish(), kPlace);
    ASSERT_TRUE(alone);
    const auto expected =
        padded(NvlistBuilder(encoding).number("resume_object", 0x3ee).number("resume_offset", 0x3c0000).finish());
    EXPECT_EQ(without_memory_sizes(*alone), without_memory_sizes(expected));
    ++compared;
  }
  EXPECT_EQ(compared, 9);
}

TEST(NvlistWriter, DamagedListsAreRefused) {
  SeededRandom random(63);
  for (Encoding encoding : {Encoding::kNative, Encoding::kXdr, Encoding::kNativeSwapped}) {
    const auto list = NvlistBuilder(encoding).number("a", 1).open("l").number("b", 2).close().text("c", "d").finish();
    for (std::size_t bytes = 0; bytes < list.size(); ++bytes) {
      const auto set = set_numbers(ConstBytes(list).first(bytes), kPlace);
      ASSERT_FALSE(set) << bytes;
      EXPECT_EQ(set.error().fault, Fault::kStreamDamaged);
    }
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
      auto damaged = list;
      damaged[random.below(damaged.size())] = static_cast<std::byte>(random.below(256));
      if (!set_numbers(damaged, kPlace)) ++refused;
    }
    EXPECT_GT(refused, 100);
  }
}

TEST(NvVisitor, IsToldOfFlagsAndOfWherePairsLie) {
  class Told : public NvVisitor {
   public:
    void flag(int depth, std::string_view name) override { text_ += std::to_string(depth) + std::string(name) + " "; }
    void pair(int depth, std::string_view name, std::size_t from, std::size_t to) override {
      EXPECT_LT(from, to);
      if (depth == 0) {
        EXPECT_EQ(from, at_);
        at_ = to;
      }
      text_ += std::to_string(depth) + ":" + std::string(name) + " ";
    }
    std::string text_;
    std::size_t at_ = 12;
  };
  for (Encoding encoding : {Encoding::kNative, Encoding::kXdr, Encoding::kNativeSwapped}) {
    const auto list = NvlistBuilder(encoding).boolean("yes").open("l").boolean("in").close().number("n", 1).finish();
    Told told;
    ASSERT_TRUE(read_nvlist(list, told));
    EXPECT_EQ(told.text_, "0yes 0:yes 1in 1:in 0:l 0:n ");
    EXPECT_EQ(told.at_, list.size() - (encoding == Encoding::kXdr ? 8 : 4));
  }
}

}  // namespace
}  // namespace zferry::zstream
