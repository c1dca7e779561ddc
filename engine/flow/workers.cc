#include "flow/workers.h"

#include <utility>

namespace zferry::flow {

ThreadWorkers::ThreadWorkers(std::size_t threads, Post post) : post_(std::move(post)) {
  try {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  } catch (...) {
    stop();  // those that did start are joined before the caller learns of it
    throw;
  }
}

ThreadWorkers::~ThreadWorkers() { stop(); }

void ThreadWorkers::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    first_.clear();
    tasks_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadWorkers::run(std::function<void()> job, std::function<void()> done) {
  add(tasks_, {std::move(job), std::move(done)});
}

void ThreadWorkers::run_first(std::function<void()> job, std::function<void()> done) {
  add(first_, {std::move(job), std::move(done)});
}

void ThreadWorkers::add(std::deque<Task>& line, Task task) {
  {
    std::lock_guard lock(mutex_);
    line.push_back(std::move(task));
  }
  wake_.notify_one();
}

void ThreadWorkers::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !first_.empty() || !tasks_.empty(); });
    if (stopping_) return;
    std::deque<Task>& line = first_.empty() ? tasks_ : first_;
    Task task = std::move(line.front());
    line.pop_front();
    lock.unlock();
    task.job();
    task.job = nullptr;  // what the job owned goes before the loop learns that it is done
    post_(std::move(task.done));
    task.done = nullptr;
    lock.lock();
  }
}

}  // namespace zferry::flow
