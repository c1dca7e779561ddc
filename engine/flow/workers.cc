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
    tasks_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadWorkers::run(std::function<void()> job, std::function<void()> done) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back({std::move(job), std::move(done)});
  }
  wake_.notify_one();
}

void ThreadWorkers::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task.job();
    task.job = nullptr;  // what the job owned goes before the loop learns that it is done
    post_(std::move(task.done));
    task.done = nullptr;
    lock.lock();
  }
}

}  // namespace zferry::flow
