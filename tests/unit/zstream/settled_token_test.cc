#include "zstream/settled_token.h"

#include <gtest/gtest.h>

namespace zferry::zstream {
namespace {

ResumeToken at(std::uint64_t object, std::uint64_t offset, std::uint64_t bytes) {
  return {.object = object, .offset = offset, .bytes = bytes, .toguid = 7, .fromguid = 0, .toname = "t@s"};
}

TEST(SettledToken, CountsOnceALaterOneIsShown) {
  SettledToken settled;
  EXPECT_FALSE(settled.shown(at(1, 0, 0)));
  EXPECT_FALSE(settled.shown(at(1, 0, 0)));  // however often: the group may still be on its way
  ASSERT_TRUE(settled.shown(at(2, 4096, 5000)));
  EXPECT_EQ(settled.shown(at(2, 4096, 5000))->object, 1u);
  const auto second = settled.shown(at(2, 8192, 10000));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->offset, 4096u);
  EXPECT_EQ(settled.shown(at(3, 0, 20000))->offset, 8192u);
}

TEST(SettledToken, ATornOneIsNotTaken) {
  SettledToken settled;
  settled.shown(at(2, 900, 1000));
  settled.shown(at(3, 500, 2000));
  EXPECT_EQ(settled.shown(at(9, 500, 2000))->object, 2u);  // a new object with the old offset
  EXPECT_EQ(settled.shown(at(9, 0, 2000))->object, 2u);
  EXPECT_EQ(settled.shown(at(9, 0, 3000))->object, 3u);
  EXPECT_EQ(settled.shown(at(10, 0, 4000))->object, 9u);
}

TEST(SettledToken, AnotherStreamBeginsAnew) {
  SettledToken settled;
  settled.shown(at(1, 0, 0));
  ASSERT_TRUE(settled.shown(at(2, 0, 100)));
  ResumeToken other = at(3, 0, 200);
  other.fromguid = 5;
  EXPECT_FALSE(settled.shown(other));
  other.bytes = 300;
  EXPECT_TRUE(settled.shown(other));
}

}  // namespace
}  // namespace zferry::zstream
