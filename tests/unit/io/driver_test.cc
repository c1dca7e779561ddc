// Both drivers beneath the contract: shared descriptors, more operations than the ring has places, cancelling in every
// state.
#include "io/driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <csignal>

#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "base/unique_fd.h"
#include "io/poll_driver.h"
#include "io/uring_driver.h"

namespace zferry::io {
namespace {

using std::chrono::milliseconds;

class Drivers : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (GetParam() == std::string("poll")) {
      driver_ = std::make_unique<PollDriver>();
      return;
    }
    auto uring = make_uring_driver();
    if (!uring.ok()) GTEST_SKIP() << uring.error().what;
    driver_ = std::move(*uring);
  }
  void TearDown() override {
    if (driver_) driver_->drain();
  }
  void turn_until(const std::function<bool()>& done) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done() && std::chrono::steady_clock::now() < until) driver_->turn(milliseconds(10));
    ASSERT_TRUE(done());
  }
  static std::pair<UniqueFd, UniqueFd> make_pipe(int flags) {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC | flags), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
  std::unique_ptr<Driver> driver_;
};
INSTANTIATE_TEST_SUITE_P(All, Drivers, testing::Values("poll", "io_uring"),
                         [](const auto& test) { return std::string(test.param); });

// Fills a pipe through blocking descriptions; the loop must keep turning.
TEST_P(Drivers, ASharedPipeIsWrittenWithoutBlocking) {
  const auto [read_end, write_end] = make_pipe(0);
  std::vector<std::byte> bytes(300'000);
  SeededRandom(1).fill(bytes);
  std::size_t written = 0;
  bool busy = false;
  const auto next = [&] {
    if (busy || written == bytes.size()) return;
    busy = true;
    driver_->write(write_end.get(), FdKind::kShared, ConstBytes(bytes).subspan(written), [&](int result) {
      ASSERT_GT(result, 0);
      written += static_cast<std::size_t>(result);
      busy = false;
    });
  };
  for (int count = 0; count < 100; ++count) {
    next();
    driver_->turn(Duration::zero());
  }
  EXPECT_GE(written, 4096U);
  EXPECT_LT(written, bytes.size());
  std::vector<std::byte> all;
  std::vector<std::byte> into(7'000);
  while (all.size() < bytes.size()) {
    next();
    int taken = -1;
    driver_->read(read_end.get(), FdKind::kShared, into, [&](int result) { taken = result; });
    turn_until([&] { return taken >= 0; });
    all.insert(all.end(), into.begin(), into.begin() + taken);
  }
  EXPECT_EQ(all, bytes);
}

TEST_P(Drivers, TakeMoreOperationsThanTheRingHasPlaces) {
  constexpr int kMany = 400;
  std::vector<std::pair<UniqueFd, UniqueFd>> pipes;
  std::vector<char> bytes(kMany);
  int done = 0;
  for (int index = 0; index < kMany; ++index) {
    pipes.push_back(make_pipe(O_NONBLOCK));
    auto at = Bytes(reinterpret_cast<std::byte*>(&bytes[static_cast<std::size_t>(index)]), 1);
    driver_->read(pipes.back().first.get(), FdKind::kOwnPipe, at, [&](int result) { done += result; });
    driver_->wait_ready(pipes.back().first.get(), POLLIN, [&](int events) { done += (events & POLLIN) ? 1000 : 0; });
  }
  driver_->turn(Duration::zero());
  EXPECT_EQ(done, 0);
  for (auto& [read_end, write_end] : pipes) ASSERT_EQ(::write(write_end.get(), "xy", 2), 2);
  turn_until([&] { return done == kMany * 1001; });
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 'x'), kMany);
}

TEST_P(Drivers, ErrorsComeAsErrnoNumbers) {
  std::vector<std::byte> bytes(10);
  int result = 1;
  driver_->read(-1, FdKind::kFile, bytes, [&](int r) { result = r; });
  turn_until([&] { return result < 0; });
  EXPECT_EQ(result, -EBADF);
  std::signal(SIGPIPE, SIG_IGN);  // as PosixHost does
  auto [read_end, write_end] = make_pipe(O_NONBLOCK);
  read_end.reset();
  result = 1;
  driver_->write(write_end.get(), FdKind::kOwnPipe, bytes, [&](int r) { result = r; });
  turn_until([&] { return result < 0; });
  EXPECT_EQ(result, -EPIPE);
}

TEST_P(Drivers, ATurnWithoutAnythingToDoEndsInTime) {
  const auto start = std::chrono::steady_clock::now();
  for (int count = 0; count < 3; ++count) driver_->turn(milliseconds(5));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(14));
}

// Starts and cancels at random, on sockets that are read and written at random: no `done` may be lost, doubled or
// called late, and the address sanitizer sees that no memory is touched after its `done` went.
TEST_P(Drivers, SurviveCancellingInEveryState) {
  SeededRandom random(7);
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  const UniqueFd a(fds[0]);
  const UniqueFd b(fds[1]);
  ::fcntl(b.get(), F_SETFL, O_NONBLOCK);  // which must make no difference
  std::map<int, Driver::OpId> live;
  auto owned = std::make_shared<int>(0);
  int called = 0;
  int cancelled = 0;
  int started = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto dice = random.below(10);
    if (dice < 6 && live.size() < 8) {
      auto buffer = std::make_shared<std::vector<std::byte>>(1 + random.below(30'000));
      const int number = started++;
      auto done = [&, number, buffer, owned](int result) {
        ASSERT_GE(result, 0);
        ASSERT_EQ(live.erase(number), 1U);  // neither twice nor after it was cancelled
        ++called;
      };
      const int fd = random.chance(0.5) ? a.get() : b.get();
      live[number] = random.chance(0.5) ? driver_->read(fd, FdKind::kSocket, *buffer, std::move(done))
                                        : driver_->write(fd, FdKind::kSocket, *buffer, std::move(done));
    } else if (dice < 8 && !live.empty()) {
      const auto victim = std::next(live.begin(), static_cast<long>(random.below(live.size())));
      const Driver::OpId id = victim->second;
      live.erase(victim);
      driver_->cancel(id);
      driver_->cancel(id);  // a second time means nothing
      ++cancelled;
    } else {
      driver_->turn(Duration::zero());
    }
  }
  EXPECT_GT(called, 1000);
  EXPECT_GT(cancelled, 1000);
  EXPECT_EQ(called + cancelled + static_cast<int>(live.size()), started);
  driver_->drain();
  EXPECT_EQ(owned.use_count(), 1);
}

}  // namespace
}  // namespace zferry::io
