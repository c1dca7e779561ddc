#include "io/posix_host.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <vector>

namespace zferry::io {
namespace {

TEST(PosixHost, NamesItsBackEndAndWhyItHadToFallBack) {
  const auto poll = PosixHost::create({Backend::kPoll, ""});
  ASSERT_TRUE(poll.ok());
  EXPECT_EQ((*poll)->backend_name(), "poll");
  ::setenv("ZFERRY_TEST_NO_URING", "1", 1);
  const auto fallen_back = PosixHost::create({Backend::kAuto, ""});
  ASSERT_TRUE(fallen_back.ok());
  EXPECT_EQ((*fallen_back)->backend_name(), "poll (io_uring: refused by ZFERRY_TEST_NO_URING)");
  const auto refused = PosixHost::create({Backend::kUring, ""});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::kUsage);
  ::unsetenv("ZFERRY_TEST_NO_URING");
  const auto automatic = PosixHost::create({Backend::kAuto, ""});
  ASSERT_TRUE(automatic.ok());
  RecordProperty("back_end", (*automatic)->backend_name());
  EXPECT_TRUE((*automatic)->backend_name() == "io_uring" ||
              (*automatic)->backend_name().starts_with("poll (io_uring: "));
}

TEST(PosixHost, BringsInterruptsToTheLoopAndGivesThemBack) {
  for (const Backend backend : {Backend::kPoll, Backend::kAuto}) {
    std::vector<int> signals;
    {
      auto host = PosixHost::create({backend, ""});
      ASSERT_TRUE(host.ok());
      (*host)->on_interrupt([&](int) { FAIL() << "of a handler that was replaced"; });
      (*host)->on_interrupt([&](int signal_number) {
        signals.push_back(signal_number);
        if (signals.size() == 2) (*host)->stop();
      });
      (*host)->loop().post([] { ::kill(::getpid(), SIGINT); });
      (*host)->loop().after(std::chrono::milliseconds(20), [] { ::kill(::getpid(), SIGTERM); });
      (*host)->run();
    }
    EXPECT_EQ(signals, (std::vector<int>{SIGINT, SIGTERM}));
    struct sigaction now {};
    ::sigaction(SIGINT, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
  }
}

TEST(PosixHost, GoesWithTimersTasksAndConnectsOutstanding) {
  for (const Backend backend : {Backend::kPoll, Backend::kAuto}) {
    auto owned = std::make_shared<int>(0);
    auto host = PosixHost::create({backend, ""});
    ASSERT_TRUE(host.ok());
    Loop& loop = (*host)->loop();
    // What a timer owns may post, and what a task owns may cancel, while they are destroyed.
    struct Poster {
      Loop& loop;
      std::shared_ptr<int> owned;
      ~Poster() {
        loop.cancel(loop.after(std::chrono::seconds(1), [] {}));
        loop.post([owned = owned] { FAIL(); });
      }
    };
    loop.after(std::chrono::hours(1), [poster = std::make_shared<Poster>(loop, owned)] { FAIL(); });
    loop.post([poster = std::make_shared<Poster>(loop, owned)] { FAIL(); });
    (*host)->network().connect({"127.0.0.1", "9"}, std::chrono::seconds(1), [owned](auto) { FAIL(); });
    (*host)->network().connect({"localhost", "9"}, std::chrono::seconds(1), [owned](auto) { FAIL(); });
    host->reset();
    EXPECT_EQ(owned.use_count(), 1);
  }
}

}  // namespace
}  // namespace zferry::io
