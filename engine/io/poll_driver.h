// PollDriver: the driver over poll(2), for hosts that refuse io_uring. poll rather than epoll: an end has tens of
// descriptors, and poll takes regular files and forgets descriptors by itself. All calls on the loop's thread.
#pragma once

#include <poll.h>

#include <map>
#include <vector>

#include "io/driver.h"

namespace zferry::io {

class PollDriver final : public Driver {
 public:
  OpId read(int fd, FdKind kind, Bytes into, Done done) override;
  OpId write(int fd, FdKind kind, ConstBytes from, Done done) override;
  OpId wait_ready(int fd, short poll_events, Done done) override;
  void cancel(OpId id) override;
  void turn(std::optional<Duration> timeout) override;
  void drain() override;

 private:
  enum class What : std::uint8_t { kRead, kWrite, kWait };
  struct Op {
    What what;
    FdKind kind;
    int fd;
    short poll_events;
    std::byte* data;  // of a write: only read from
    std::size_t bytes;
    Done done;
  };

  OpId start(Op op);
  bool try_fresh();
  bool attempt(OpId id, short ready_events);
  static int perform(const Op& op, short ready_events);

  std::map<OpId, Op> ops_;
  std::vector<OpId> fresh_;  // started since the last turn, and worth a try before waiting
  std::vector<pollfd> polled_;
  std::vector<OpId> polled_ids_;
  OpId last_id_ = 0;
};

}  // namespace zferry::io
