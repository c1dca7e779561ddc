// UniqueFd: one owner, closed once.
#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>

namespace zferry {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
int open_one() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

TEST(UniqueFd, ClosesWhenItGoes) {
  int number;
  {
    UniqueFd fd(open_one());
    number = fd.get();
    EXPECT_TRUE(fd && is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, MovesAndReleases) {
  UniqueFd first(open_one()), second(open_one());
  const int one = first.get(), two = second.get();
  second = std::move(first);
  EXPECT_FALSE(is_open(two));
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  UniqueFd third(std::move(second));
  UniqueFd& alias = third;
  third = std::move(alias);
  EXPECT_EQ(third.get(), one);
  EXPECT_TRUE(is_open(one));
  const int released = third.release();
  EXPECT_FALSE(third);
  EXPECT_TRUE(is_open(released));
  third.reset(released);
  third.reset();
  EXPECT_FALSE(is_open(released));
}

}  // namespace
}  // namespace zferry
