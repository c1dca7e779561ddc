#include "io/uring_driver.h"

#include <cstdlib>

#ifdef ZFERRY_URING
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "base/limits.h"
#endif

namespace zferry::io {

namespace {
Error refused(const std::string& why) { return {Fault::kUsage, "io_uring: " + why, "use --io poll"}; }
}  // namespace

#ifdef ZFERRY_URING

namespace {

constexpr unsigned kRingEntries = 256;
constexpr std::size_t kBytesMax = 1024 * limits::MiB;  // of one operation: its length has 32 bits, its result 31
constexpr std::chrono::seconds kDrainPatience{2};
constexpr std::uint64_t kNobody = 0;  // completions of cancellations are nobody's

class UringDriver final : public Driver {
 public:
  ~UringDriver() override {
    if (open_) io_uring_queue_exit(&ring_);
  }
  // Nothing, or why it cannot be.
  std::string open();

  OpId read(int fd, FdKind kind, Bytes into, Done done) override {
    return start({What::kRead, kind, fd, 0, into.data(), into.size(), std::move(done)});
  }
  OpId write(int fd, FdKind kind, ConstBytes from, Done done) override {
    return start({What::kWrite, kind, fd, 0, const_cast<std::byte*>(from.data()), from.size(), std::move(done)});
  }
  OpId wait_ready(int fd, short poll_events, Done done) override {
    return start({What::kWait, FdKind::kShared, fd, poll_events, nullptr, 0, std::move(done)});
  }
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
    bool waits_first = false;  // in the kernel as a poll, after EAGAIN
    bool orphaned = false;     // cancelled: kept for the memory's sake only
  };

  OpId start(Op op);
  void submit_op(OpId id, const Op& op);
  void submit_cancel(OpId id);
  io_uring_sqe* next_sqe();
  void collect();
  void finish(OpId id, int result);

  io_uring ring_{};
  bool open_ = false;
  std::unordered_map<OpId, Op> ops_;
  std::deque<std::pair<OpId, int>> completed_;  // taken out of the ring, not yet called
  OpId last_id_ = kNobody;
};

std::string error_text(int error_number) { return std::generic_category().message(error_number); }

std::string UringDriver::open() {
  if (std::getenv("ZFERRY_TEST_NO_URING") != nullptr) return "refused by ZFERRY_TEST_NO_URING";
  // From the most to the least that a kernel may know (6.1, 6.0, 5.11).
  int result = -EINVAL;
  for (const unsigned flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                               IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, 0U}) {
    result = io_uring_queue_init(kRingEntries, &ring_, flags);
    if (result != -EINVAL) break;
  }
  if (result < 0) return error_text(-result);
  open_ = true;
  constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS;
  if ((ring_.features & kNeeded) != kNeeded) return "this kernel's is too old (5.11 is needed)";
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  bool all = probe != nullptr;
  for (const int opcode :
       {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_RECV, IORING_OP_SEND, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL}) {
    all = all && io_uring_opcode_supported(probe, opcode);
  }
  if (probe != nullptr) io_uring_free_probe(probe);
  return all ? "" : "this kernel's lacks operations";
}

Driver::OpId UringDriver::start(Op op) {
  const OpId id = ++last_id_;
  submit_op(id, ops_.emplace(id, std::move(op)).first->second);
  return id;
}

void UringDriver::submit_op(OpId id, const Op& op) {
  io_uring_sqe* sqe = next_sqe();
  const auto bytes = static_cast<unsigned>(std::min(op.bytes, kBytesMax));
  constexpr auto kCurrentPosition = static_cast<__u64>(-1);
  if (op.what == What::kWait) {
    io_uring_prep_poll_add(sqe, op.fd, static_cast<unsigned>(op.poll_events));
  } else if (op.waits_first) {
    io_uring_prep_poll_add(sqe, op.fd, op.what == What::kRead ? POLLIN : POLLOUT);
  } else if (op.what == What::kRead) {
    if (op.kind == FdKind::kSocket) {
      io_uring_prep_recv(sqe, op.fd, op.data, bytes, 0);
    } else {
      io_uring_prep_read(sqe, op.fd, op.data, bytes, kCurrentPosition);
    }
  } else if (op.kind == FdKind::kSocket) {
    // With MSG_WAITALL newer kernels go on after a short send by themselves; older ones ignore it.
    io_uring_prep_send(sqe, op.fd, op.data, bytes, MSG_NOSIGNAL | MSG_WAITALL);
  } else {
    io_uring_prep_write(sqe, op.fd, op.data, bytes, kCurrentPosition);
  }
  io_uring_sqe_set_data64(sqe, id);
}

void UringDriver::submit_cancel(OpId id) {
  io_uring_sqe* sqe = next_sqe();
  io_uring_prep_cancel64(sqe, id, 0);
  io_uring_sqe_set_data64(sqe, kNobody);
}

io_uring_sqe* UringDriver::next_sqe() {
  for (;;) {
    if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return sqe;
    const int result = io_uring_submit_and_get_events(&ring_);
    ZF_ASSERT(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY);
    collect();  // a full completion queue would refuse further submissions
  }
}

void UringDriver::cancel(OpId id) {
  const auto at = ops_.find(id);
  if (at == ops_.end() || at->second.orphaned) return;
  at->second.orphaned = true;
  submit_cancel(id);
  // Now, not at the next turn: the caller is about to close the descriptor, which the operation may not have reached
  // yet, and whose file (a port, a pipe's end) must not stay open behind it.
  while (io_uring_sq_ready(&ring_) > 0) {
    const int result = io_uring_submit_and_get_events(&ring_);
    ZF_ASSERT(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY);
    collect();  // a full completion queue would refuse further submissions
  }
}

void UringDriver::turn(std::optional<Duration> timeout) {
  collect();
  if (!completed_.empty() || (timeout && *timeout <= Duration::zero())) {
    io_uring_submit_and_get_events(&ring_);
  } else {
    timespec limit{};
    if (timeout) limit = to_timespec(*timeout);
    __kernel_timespec kernel_limit{limit.tv_sec, limit.tv_nsec};
    io_uring_cqe* cqe = nullptr;
    const int result = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, timeout ? &kernel_limit : nullptr, nullptr);
    ZF_ASSERT(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY);
  }
  collect();
  for (std::size_t count = completed_.size(); count > 0; --count) {
    const auto [id, result] = completed_.front();
    completed_.pop_front();
    finish(id, result);
  }
}

void UringDriver::collect() {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++count;
    if (cqe->user_data != kNobody) completed_.emplace_back(cqe->user_data, cqe->res);
  }
  io_uring_cq_advance(&ring_, count);
}

void UringDriver::finish(OpId id, int result) {
  const auto at = ops_.find(id);
  ZF_ASSERT(at != ops_.end());
  Op& op = at->second;
  const bool was_wait = op.waits_first;
  if (!op.orphaned &&
      (result == -EINTR || (op.what != What::kWait && (result == -EAGAIN || (was_wait && result >= 0))))) {
    // Nothing happened yet. Some kernels give EAGAIN where a file is marked O_NONBLOCK: wait there ourselves.
    op.waits_first = result == -EAGAIN && !was_wait;
    submit_op(id, op);
    return;
  }
  auto node = ops_.extract(at);  // out of the map first: `done` may start, cancel and destroy others
  if (!node.mapped().orphaned) node.mapped().done(result);
}

void UringDriver::drain() {
  for (auto& [id, op] : ops_) {
    if (!op.orphaned) submit_cancel(id);
    op.orphaned = true;
  }
  const auto until = std::chrono::steady_clock::now() + kDrainPatience;
  while (!ops_.empty() && std::chrono::steady_clock::now() < until) turn(std::chrono::milliseconds(100));
  // A device that does not come back: the memory is given up rather than freed under the kernel's hands.
  if (!ops_.empty()) new std::unordered_map<OpId, Op>(std::move(ops_));
  ops_.clear();
}

}  // namespace

Result<std::unique_ptr<Driver>> make_uring_driver() {
  auto driver = std::make_unique<UringDriver>();
  if (const std::string why = driver->open(); !why.empty()) return refused(why);
  return {std::move(driver)};
}

#else

Result<std::unique_ptr<Driver>> make_uring_driver() { return refused("zferry was built without liburing"); }

#endif

}  // namespace zferry::io
