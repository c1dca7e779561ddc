// Result and Status: a value or an error, and never the wrong one.
#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace zferry {
namespace {

const Error kBroken{Fault::kLinkLost, "the cable", "plug it in"};

TEST(Result, HoldsAValue) {
  Result<int> result = 7;
  ASSERT_TRUE(result.ok() && result);
  EXPECT_EQ(result.value(), 7);
  *result = 8;
  EXPECT_EQ(*std::as_const(result), 8);
  EXPECT_DEATH(result.error(), "does not hold");
}

TEST(Result, HoldsAnError) {
  Result<std::string> result = kBroken;
  ASSERT_FALSE(result.ok() || result);
  EXPECT_EQ(result.error().fault, Fault::kLinkLost);
  EXPECT_DEATH(result.value(), "does not hold");
  const Error taken = result.take_error();
  EXPECT_EQ(taken.what, "the cable");
  EXPECT_EQ(taken.next, "plug it in");
}

TEST(Result, AFalseValueIsNoFailure) {
  Result<bool> result = false;
  EXPECT_TRUE(result.ok());
  EXPECT_FALSE(*result);
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(3);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 3);
}

TEST(Status, OkOrError) {
  Status good, bad = kBroken;
  EXPECT_TRUE(good);
  ASSERT_FALSE(bad);
  EXPECT_DEATH(good.error(), "does not hold");
  EXPECT_EQ(bad.take_error().what, "the cable");
}

TEST(ErrnoError, EndsWithTheSystemsWords) {
  const Error error = errno_error(Fault::kStateFailed, "open /etc/x", EACCES);
  EXPECT_EQ(error.fault, Fault::kStateFailed);
  EXPECT_EQ(error.what, "open /etc/x: Permission denied");
}

}  // namespace
}  // namespace zferry
