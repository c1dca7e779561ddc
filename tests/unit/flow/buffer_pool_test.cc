#include "flow/buffer_pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace zferry::flow {
namespace {

TEST(BufferPool, GivesNoMoreThanItHasAndTakesBack) {
  BufferPool pool(3, 4096);
  int returns = 0;
  pool.set_on_return([&] { ++returns; });
  std::vector<Buffer> taken;
  for (int i = 0; i < 3; ++i) {
    taken.push_back(pool.take());
    ASSERT_NE(taken.back(), nullptr);
    EXPECT_EQ(taken.back()->size(), 4096U);
  }
  EXPECT_EQ(pool.take(), nullptr);
  EXPECT_EQ(pool.free_buffers(), 0U);
  Buffer share = taken[0];
  taken[0].reset();
  EXPECT_EQ(returns, 0) << "a share keeps the buffer";
  share.reset();
  EXPECT_EQ(returns, 1);
  taken[1].reset();
  EXPECT_EQ(returns, 1) << "called once for each time that somebody went away empty-handed";
  EXPECT_EQ(pool.free_buffers(), 2U);
}

TEST(BufferPool, BuffersMayOutliveIt) {
  Buffer survivor;
  {
    BufferPool pool(1, 64);
    survivor = pool.take();
  }
  survivor->front() = std::byte{1};
  EXPECT_EQ(survivor->front(), std::byte{1});
}

TEST(BufferPool, ServesManyThreads) {
  BufferPool pool(4, 64);
  std::vector<std::thread> threads;
  std::atomic<int> taken = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        if (Buffer buffer = pool.take()) {
          buffer->front() = std::byte{7};
          ++taken;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken.load(), 8000) << "four buffers serve four threads of one each";
  EXPECT_EQ(pool.free_buffers(), 4U);
}

}  // namespace
}  // namespace zferry::flow
