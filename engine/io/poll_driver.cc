#include "io/poll_driver.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/limits.h"

namespace zferry::io {

namespace {
// A read or write of a file holds up the loop while it lasts, so it is cut.
constexpr std::size_t kFileBytesMax = 1 * limits::MiB;
constexpr std::size_t kOtherBytesMax = 1024 * limits::MiB;
}  // namespace

Driver::OpId PollDriver::read(int fd, FdKind kind, Bytes into, Done done) {
  return start({What::kRead, kind, fd, POLLIN, into.data(), into.size(), std::move(done)});
}

Driver::OpId PollDriver::write(int fd, FdKind kind, ConstBytes from, Done done) {
  return start({What::kWrite, kind, fd, POLLOUT, const_cast<std::byte*>(from.data()), from.size(), std::move(done)});
}

Driver::OpId PollDriver::wait_ready(int fd, short poll_events, Done done) {
  return start({What::kWait, FdKind::kShared, fd, poll_events, nullptr, 0, std::move(done)});
}

Driver::OpId PollDriver::start(Op op) {
  const OpId id = ++last_id_;
  if (op.kind != FdKind::kShared) fresh_.push_back(id);
  ops_.emplace(id, std::move(op));
  return id;
}

void PollDriver::cancel(OpId id) {
  auto node = ops_.extract(id);  // out of the map first: destroying `done` may cancel others
}

void PollDriver::turn(std::optional<Duration> timeout) {
  // What was called may have posted tasks or set timers, so a turn that called something must not wait.
  if (try_fresh() || !fresh_.empty()) timeout = Duration::zero();
  polled_.clear();
  polled_ids_.clear();
  for (const auto& [id, op] : ops_) {
    polled_.push_back({op.fd, op.poll_events, 0});
    polled_ids_.push_back(id);
  }
  timespec limit{};
  if (timeout) limit = to_timespec(*timeout);
  int ready = ::ppoll(polled_.data(), polled_.size(), timeout ? &limit : nullptr, nullptr);
  for (std::size_t index = 0; ready > 0 && index < polled_.size(); ++index) {
    if (polled_[index].revents == 0) continue;
    --ready;
    attempt(polled_ids_[index], polled_[index].revents);
  }
}

bool PollDriver::try_fresh() {
  bool any = false;
  for (const OpId id : std::exchange(fresh_, {})) any |= attempt(id, 0);
  return any;
}

// Returns whether the operation is over and its `done` was called.
bool PollDriver::attempt(OpId id, short ready_events) {
  const auto at = ops_.find(id);
  if (at == ops_.end()) return false;  // cancelled, or done earlier in this turn
  const int result = perform(at->second, ready_events);
  if (result == -EAGAIN) return false;
  auto node = ops_.extract(at);
  node.mapped().done(result);
  return true;
}

int PollDriver::perform(const Op& op, short ready_events) {
  if (ready_events & POLLNVAL) return -EBADF;
  if (op.what == What::kWait) return ready_events;
  const bool reads = op.what == What::kRead;
  std::size_t bytes = std::min(op.bytes, op.kind == FdKind::kFile ? kFileBytesMax : kOtherBytesMax);
  if (op.kind == FdKind::kShared && !reads) bytes = std::min<std::size_t>(bytes, PIPE_BUF);
  ssize_t result = 0;
  do {
    if (op.kind == FdKind::kSocket) {
      result = reads ? ::recv(op.fd, op.data, bytes, MSG_DONTWAIT)
                     : ::send(op.fd, op.data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
      result = reads ? ::read(op.fd, op.data, bytes) : ::write(op.fd, op.data, bytes);
    }
  } while (result < 0 && errno == EINTR);
  if (result >= 0) return static_cast<int>(result);
  return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

void PollDriver::drain() {
  while (!ops_.empty()) cancel(ops_.begin()->first);
}

}  // namespace zferry::io
