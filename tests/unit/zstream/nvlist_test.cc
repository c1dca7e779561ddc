#include "zstream/nvlist.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "unit/zstream/sample_streams.h"
#include "zstream/arrivals.h"

namespace zferry::zstream {
namespace {

using testing::NvlistBuilder;
using Encoding = NvlistBuilder::Encoding;
constexpr std::array kEncodings{Encoding::kXdr, Encoding::kNative, Encoding::kNativeSwapped};

// Everything the reader tells, as one line.
class Transcript final : public NvVisitor {
 public:
  std::string line;
  void number(int depth, std::string_view name, std::uint64_t value) override {
    line += std::to_string(depth) + ":" + std::string(name) + "=" + std::to_string(value) + " ";
  }
  void text(int depth, std::string_view name, std::string_view value) override {
    line += std::to_string(depth) + ":" + std::string(name) + "='" + std::string(value) + "' ";
  }
  void enter(int depth, std::string_view name) override {
    line += std::to_string(depth) + ":" + std::string(name) + "{ ";
  }
  void leave(int depth) override { line += "}" + std::to_string(depth) + " "; }
};

std::vector<std::byte> example(Encoding encoding) {
  NvlistBuilder list(encoding);
  list.text("t", "").text("text", "four").boolean("skipped").open("list");
  list.number("n", 0x0102030405060708).open("empty").close().open("inner").number("name of 13ch.", 2).close().close();
  list.number("last", ~std::uint64_t{0});
  return list.finish();
}

TEST(Nvlist, ReadsEachEncoding) {
  for (Encoding encoding : kEncodings) {
    Transcript transcript;
    ASSERT_TRUE(read_nvlist(example(encoding), transcript));
    EXPECT_EQ(transcript.line,
              "0:t='' 0:text='four' 0:list{ 1:n=72623859790382856 1:empty{ }1 1:inner{ 2:name of 13ch.=2 }1 }0 "
              "0:last=18446744073709551615 ");
  }
}

TEST(Nvlist, EveryCutIsAnError) {
  int cuts = 0;
  for (Encoding encoding : kEncodings) {
    const auto list = example(encoding);
    for (std::size_t bytes = 0; bytes < list.size(); ++bytes, ++cuts) {
      Transcript transcript;
      const Status status = read_nvlist(ConstBytes(list).first(bytes), transcript);
      ASSERT_FALSE(status) << bytes;
      EXPECT_EQ(status.error().fault, Fault::kStreamDamaged);
    }
  }
  EXPECT_GT(cuts, 700);
}

TEST(Nvlist, DamageNeverLeadsOutOfTheList) {
  SeededRandom random(21);
  int errors = 0;
  for (Encoding encoding : kEncodings) {
    for (int round = 0; round < 5000; ++round) {
      auto list = example(encoding);
      for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
        list[random.below(list.size())] = static_cast<std::byte>(random.next());
      }
      const std::vector<std::byte> exact(list.begin(), list.end());  // so that a sanitizer sees the end
      Transcript transcript;
      if (!read_nvlist(exact, transcript)) ++errors;
    }
  }
  EXPECT_GT(errors, 1000);
}

TEST(Nvlist, DepthIsBounded) {
  for (Encoding encoding : kEncodings) {
    for (int depth : {limits::kNvlistDepthMax - 1, limits::kNvlistDepthMax}) {
      NvlistBuilder list(encoding);
      for (int i = 0; i < depth; ++i) list.open("deeper");
      for (int i = 0; i < depth; ++i) list.close();
      Transcript transcript;
      EXPECT_EQ(read_nvlist(list.finish(), transcript).ok(), depth < limits::kNvlistDepthMax) << depth;
    }
  }
}

TEST(Nvlist, UnknownEncodingIsAnError) {
  std::vector<std::byte> list = example(Encoding::kXdr);
  list[0] = std::byte{2};
  Transcript transcript;
  EXPECT_FALSE(read_nvlist(list, transcript));
}

const std::vector<testing::Filesystem> kFilesystems{{"tank/h", {{"1", 11}, {"2", 12}}},
                                                    {"tank/h/a", {{"2", 22}, {"1", 21}}},
                                                    {"tank/h/\n", {{"2", 32}}},
                                                    {"tank/h/old", {{"1", 41}}}};

TEST(Arrivals, EachFilesystemPromisesItsSnapshotOfThatName) {
  for (Encoding encoding : kEncodings) {
    Arrivals arrivals;
    ASSERT_TRUE(arrivals.expect(outer_list(encoding, "2", kFilesystems)));
    EXPECT_EQ(arrivals.expected(), 3u);
    EXPECT_EQ(arrivals.missing(), 3u);
    arrivals.seen(11);  // not one that was promised
    arrivals.seen(22);
    arrivals.seen(22);
    EXPECT_EQ(arrivals.missing(), 2u);
    EXPECT_EQ(arrivals.missing_names(2), "tank/h@2, tank/h/\\x0a@2");
    EXPECT_EQ(arrivals.missing_names(1), "tank/h@2 and 1 more");
    arrivals.seen(12);
    arrivals.seen(32);
    EXPECT_EQ(arrivals.missing(), 0u);
    EXPECT_EQ(arrivals.missing_names(3), "");
  }
}

TEST(Arrivals, MovesWithItsList) {
  Arrivals arrivals;
  ASSERT_TRUE(arrivals.expect(outer_list(Encoding::kXdr, "1", kFilesystems)));
  Arrivals moved = std::move(arrivals);
  EXPECT_EQ(moved.missing(), 3u);
  moved.seen(11);
  EXPECT_EQ(moved.missing_names(9), "tank/h/a@1, tank/h/old@1");
}

TEST(Arrivals, AListWithoutTosnapPromisesNothing) {
  Arrivals arrivals;
  ASSERT_TRUE(arrivals.expect(NvlistBuilder(Encoding::kXdr).number("x", 1).finish()));
  EXPECT_EQ(arrivals.expected(), 0u);
  EXPECT_FALSE(arrivals.expect(std::vector<std::byte>(5)));
}

}  // namespace
}  // namespace zferry::zstream
