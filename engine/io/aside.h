// Work that would block the loop (resolving names, fsync) on a short-lived thread of its own, with the result coming
// back to the loop. The thread may outlive the host: the Mailbox between them is theirs together, and it drops what
// comes too late.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "io/loop.h"

namespace zferry::io {

class Mailbox {
 public:
  explicit Mailbox(Loop* loop) : loop_(loop) {}
  // Any thread. Drops the task where the loop is gone, so a task owns nothing that belongs to the loop's thread: weak
  // pointers.
  void post(std::function<void()> task);
  // The loop's thread, before the loop goes.
  void close();

 private:
  std::mutex mutex_;
  Loop* loop_;
};

// Calls `work` on a new thread, then what it returned on the loop. Where no thread can be had, `work` is called from
// here.
void run_aside(const std::shared_ptr<Mailbox>& mailbox, std::function<std::function<void()>()> work);

}  // namespace zferry::io
