#include "flow/ordered_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace zferry::flow {
namespace {

TEST(OrderedQueue, GivesInOrderWhateverTheOrderOfFilling) {
  SeededRandom random(7);
  std::uint64_t popped = 0;
  for (int round = 0; round < 200; ++round) {
    OrderedQueue<std::uint64_t> queue;
    std::vector<std::uint64_t> numbers(1 + random.below(20));
    for (std::uint64_t& number : numbers) number = queue.reserve();
    for (std::size_t i = numbers.size(); i > 1; --i) std::swap(numbers[i - 1], numbers[random.below(i)]);
    std::uint64_t expected = 0;
    for (std::uint64_t number : numbers) {
      queue.fill(number, number * 10);
      while (queue.head_ready()) {
        EXPECT_EQ(queue.pop(), expected++ * 10);
        ++popped;
      }
    }
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(expected, numbers.size());
  }
  EXPECT_GT(popped, 1000U);
}

TEST(OrderedQueue, FirstCopyWins) {
  OrderedQueue<char> queue;
  EXPECT_TRUE(queue.fill_any(1, 'b'));
  EXPECT_FALSE(queue.head_ready());
  EXPECT_FALSE(queue.fill_any(1, 'x'));
  EXPECT_TRUE(queue.fill_any(0, 'a'));
  EXPECT_EQ(queue.pop(), 'a');
  EXPECT_FALSE(queue.fill_any(0, 'y')) << "gone already";
  EXPECT_EQ(queue.pop(), 'b');
  EXPECT_EQ(queue.first(), 2U);
}

TEST(OrderedQueue, KnowsWhatItHasAndForgets) {
  OrderedQueue<int> queue;
  EXPECT_FALSE(queue.has(0));
  queue.truncate(0);
  EXPECT_TRUE(queue.fill_any(0, 10));
  EXPECT_TRUE(queue.fill_any(1, 11));
  EXPECT_TRUE(queue.fill_any(4, 14));
  EXPECT_TRUE(queue.has(4));
  EXPECT_FALSE(queue.has(2));
  EXPECT_FALSE(queue.has(5));
  EXPECT_EQ(queue.head(), 10);
  EXPECT_EQ(queue.pop(), 10);
  EXPECT_TRUE(queue.has(0)) << "gone is not to be filled again";
  queue.truncate(9);
  EXPECT_EQ(queue.end(), 5u);
  queue.truncate(2);
  EXPECT_EQ(queue.end(), 2u);
  EXPECT_FALSE(queue.has(4));
  EXPECT_TRUE(queue.has(1));
  EXPECT_TRUE(queue.fill_any(2, 22));
  EXPECT_EQ(queue.pop(), 11);
  EXPECT_EQ(queue.pop(), 22);
  queue.truncate(1);
  EXPECT_EQ(queue.first(), 3u) << "what was popped stays popped";
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.fill_any(2, 0));
  EXPECT_TRUE(queue.fill_any(3, 33));
  EXPECT_EQ(queue.pop(), 33);
}

}  // namespace
}  // namespace zferry::flow
