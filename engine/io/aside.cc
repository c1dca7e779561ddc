#include "io/aside.h"

#include <system_error>
#include <thread>
#include <utility>

namespace zferry::io {

void Mailbox::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (loop_ != nullptr) loop_->post(std::move(task));
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

void run_aside(const std::shared_ptr<Mailbox>& mailbox, std::function<std::function<void()>()> work) {
  try {
    std::thread([mailbox, work] { mailbox->post(work()); }).detach();
  } catch (const std::system_error&) {
    mailbox->post(work());
  }
}

}  // namespace zferry::io
