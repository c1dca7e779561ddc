// Workers: run whole-block jobs off the loop's thread. A job owns all that it touches; its `done` runs on the loop
// afterwards.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace zferry::flow {

using Post = std::function<void(std::function<void()>)>;  // io::Loop::post, of the loop that waits for the results

class Workers {
 public:
  virtual ~Workers() = default;
  // Jobs start in this order. Called on the loop.
  virtual void run(std::function<void()> job, std::function<void()> done) = 0;
  // The same, before all that wait in run(): for what is short, and all that the rest of a stage waits for.
  virtual void run_first(std::function<void()> job, std::function<void()> done) {
    run(std::move(job), std::move(done));
  }
  virtual std::size_t count() const { return 1; }
};

class ThreadWorkers final : public Workers {
 public:
  // REQUIRES: the loop behind `post` outlives this object. Throws std::system_error where threads are refused.
  ThreadWorkers(std::size_t threads, Post post);
  // Waits for the jobs that run; those that have not started are dropped, with their `done`.
  ~ThreadWorkers() override;
  void run(std::function<void()> job, std::function<void()> done) override;
  void run_first(std::function<void()> job, std::function<void()> done) override;
  std::size_t count() const override { return threads_.size(); }

 private:
  struct Task {
    std::function<void()> job;
    std::function<void()> done;
  };
  void add(std::deque<Task>& line, Task task);
  void serve();
  void stop();

  Post post_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> first_;  // before those in tasks_
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Runs the job at once, on the caller's thread: the simulator's, where everything has one order.
class InlineWorkers final : public Workers {
 public:
  explicit InlineWorkers(Post post) : post_(std::move(post)) {}
  void run(std::function<void()> job, std::function<void()> done) override {
    job();
    post_(std::move(done));
  }

 private:
  Post post_;
};

}  // namespace zferry::flow
