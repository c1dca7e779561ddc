// The contract of io/loop.h.
#include <thread>

#include "contract/host_under_test.h"

namespace zferry::io::contract {
namespace {

using std::chrono::milliseconds;

class Loops : public Contract {};
ZF_ON_EVERY_BACK_END(Loops);

TEST_P(Loops, TimersFireInOrderOnceAndNeverEarly) {
  Loop& loop = host_->loop();
  std::vector<int> fired;
  int early = 0;
  const auto set = [&](int ms) {
    const TimePoint due = loop.now() + milliseconds(ms);
    EXPECT_NE(loop.after(milliseconds(ms),
                         [&, due, ms] {
                           early += loop.now() < due ? 1 : 0;
                           fired.push_back(ms);
                         }),
              0U);
  };
  for (const int ms : {30, 10, 20, 0, 1}) set(ms);
  serve_until([&] { return fired.size() >= 5; });
  serve_a_while();
  EXPECT_EQ(fired, (std::vector<int>{0, 1, 10, 20, 30}));
  EXPECT_EQ(early, 0);
}

TEST_P(Loops, EqualDelaysFireInTheOrderOfSetting) {
  std::vector<int> fired;
  for (int index = 0; index < 50; ++index) host_->loop().after(milliseconds(1), [&, index] { fired.push_back(index); });
  serve_until([&] { return fired.size() == 50; });
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

TEST_P(Loops, CancelledTimersStaySilentAndWrongIdsAreIgnored) {
  Loop& loop = host_->loop();
  int calls = 0;
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr watch = owned;
  const TimerId first = loop.after(milliseconds(1), [&calls, owned] { ++calls; });
  owned.reset();
  loop.cancel(first);
  EXPECT_TRUE(watch.expired());
  TimerId later = 0;
  bool done = false;
  loop.after(milliseconds(2), [&] { loop.cancel(later); });
  later = loop.after(milliseconds(3), [&] { ++calls; });
  const TimerId fires = loop.after(milliseconds(4), [&] { done = true; });
  serve_until([&] { return done; });
  loop.cancel(0);
  loop.cancel(first);
  loop.cancel(fires);
  loop.cancel(987654321);
  EXPECT_EQ(calls, 0);
}

TEST_P(Loops, ALongDelayIsNotAnOverflow) {
  int calls = 0;
  const TimerId id = host_->loop().after(Duration::max(), [&] { ++calls; });
  serve_a_while();
  EXPECT_EQ(calls, 0);
  host_->loop().cancel(id);
}

TEST_P(Loops, ATimerThatSetsItselfAgainStarvesNobody) {
  Loop& loop = host_->loop();
  bool over = false;
  int spins = 0;
  std::function<void()> spin = [&] {
    ++spins;
    if (!over) loop.after(Duration::zero(), spin);
  };
  spin();
  const StreamPair pair = connected_pair();  // needs timers, tasks and descriptors
  EXPECT_TRUE(pair.a && pair.b);
  EXPECT_GT(spins, 1);
  over = true;
  serve_a_while();
}

TEST_P(Loops, PostedTasksRunInOrderAndNotInsideTheCall) {
  std::vector<int> order;
  bool posted_inside = false;
  for (int index = 0; index < 100; ++index) host_->loop().post([&, index] { order.push_back(index); });
  host_->loop().post([&] {
    host_->loop().post([&] { posted_inside = true; });
    EXPECT_FALSE(posted_inside);
  });
  EXPECT_TRUE(order.empty());
  serve_until([&] { return posted_inside; });
  ASSERT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(Loops, PostsFromOtherThreadsWakeTheLoop) {
  if (!GetParam().real) GTEST_SKIP() << "one thread only";
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  std::vector<std::vector<int>> seen(kThreads);
  int total = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int index = 0; index < kPosts; ++index) {
        host_->loop().post([&, thread, index] {
          seen[static_cast<std::size_t>(thread)].push_back(index);
          if (++total == kThreads * kPosts) host_->stop();
        });
      }
    });
  }
  host_->run();  // no timer: nothing but the posts ends it
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(total, kThreads * kPosts);
  for (const auto& of_one : seen) EXPECT_TRUE(std::is_sorted(of_one.begin(), of_one.end()));
}

TEST_P(Loops, StopKeepsWhatWasNotServedForTheNextRun) {
  std::vector<int> order;
  host_->loop().post([&] {
    order.push_back(1);
    host_->stop();
  });
  host_->loop().post([&] {
    order.push_back(2);
    host_->stop();
  });
  host_->run();
  EXPECT_EQ(order, (std::vector<int>{1}));
  host_->run();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace zferry::io::contract
