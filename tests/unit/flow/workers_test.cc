#include "flow/workers.h"

#include <gtest/gtest.h>

#include <atomic>

namespace zferry::flow {
namespace {

// A loop of the simplest kind: tasks wait until the test runs them.
struct Tasks {
  std::mutex mutex;
  std::deque<std::function<void()>> queue;
  Post post() {
    return [this](std::function<void()> task) {
      std::lock_guard lock(mutex);
      queue.push_back(std::move(task));
    };
  }
  int run() {
    int count = 0;
    while (true) {
      std::function<void()> task;
      {
        std::lock_guard lock(mutex);
        if (queue.empty()) return count;
        task = std::move(queue.front());
        queue.pop_front();
      }
      task();
      ++count;
    }
  }
};

TEST(Workers, EveryJobRunsAndReportsOnTheLoop) {
  Tasks tasks;
  std::atomic<int> jobs = 0;
  int done = 0;
  {
    ThreadWorkers workers(3, tasks.post());
    for (int i = 0; i < 500; ++i) workers.run([&] { ++jobs; }, [&] { ++done; });
    while (done < 500) {
      tasks.run();
      std::this_thread::yield();
    }
  }
  EXPECT_EQ(jobs.load(), 500);
  EXPECT_EQ(done, 500);
}

TEST(Workers, WhatGoesFirstPassesAllThatWaits) {
  Tasks tasks;
  std::mutex order_mutex;
  std::vector<int> order;
  std::atomic<bool> begun = false;
  std::atomic<bool> go = false;
  int done = 0;
  ThreadWorkers workers(1, tasks.post());
  const auto job = [&](int name) {
    return [&, name] {
      std::lock_guard lock(order_mutex);
      order.push_back(name);
    };
  };
  const auto count = [&] { ++done; };
  workers.run(
      [&] {
        begun = true;
        while (!go) std::this_thread::yield();
      },
      count);
  while (!begun) std::this_thread::yield();  // from here on everything waits
  workers.run(job(3), count);
  workers.run_first(job(1), count);
  workers.run(job(4), count);
  workers.run_first(job(2), count);
  go = true;
  while (done < 5) {
    tasks.run();
    std::this_thread::yield();
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

TEST(Workers, InlineRunsTheJobAtOnceAndDoneLater) {
  Tasks tasks;
  InlineWorkers workers(tasks.post());
  int step = 0;
  workers.run([&] { EXPECT_EQ(step++, 0); }, [&] { EXPECT_EQ(step++, 1); });
  EXPECT_EQ(step, 1);
  EXPECT_EQ(tasks.run(), 1);
  EXPECT_EQ(step, 2);
}

}  // namespace
}  // namespace zferry::flow
