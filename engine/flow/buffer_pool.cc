#include "flow/buffer_pool.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace zferry::flow {

Slice slice_of(std::vector<std::byte> bytes, std::function<void()> gone) {
  struct Made {
    std::vector<std::byte> bytes;
    Bytes view;
    std::function<void()> gone;
    Made(std::vector<std::byte> made, std::function<void()> then)
        : bytes(std::move(made)), view(bytes), gone(std::move(then)) {}
    Made(const Made&) = delete;
    Made& operator=(const Made&) = delete;
    ~Made() {
      if (gone) gone();
    }
  };
  auto made = std::make_shared<Made>(std::move(bytes), std::move(gone));
  return {Buffer(made, &made->view), made->view};
}

using Memory = std::unique_ptr<std::byte[]>;

struct BufferPool::State {
  State(std::size_t bytes_arg, std::size_t longest_arg)
      : bytes(bytes_arg),
        limit(bytes_arg),
        longest(longest_arg),
        grain(std::max<std::size_t>(1, longest / limits::kGrainsOfBuffer)) {}

  const std::size_t bytes;  // in all
  std::size_t limit;        // that may be in use now
  const std::size_t longest;
  const std::size_t grain;
  mutable std::mutex mutex;
  std::map<std::size_t, std::vector<Memory>> idle;  // by length; last in, first out: the warmest memory goes first
  std::size_t in_use_bytes = 0;
  std::size_t idle_bytes = 0;
  bool someone_waits = false;
  std::function<void()> on_return;

  std::size_t length_for(std::size_t wanted) const {
    if (wanted == 0 || wanted >= longest) return longest;
    return std::min(longest, (wanted + grain - 1) / grain * grain);
  }
  // Null where there is none of this length yet: its memory is the caller's to make. `gone` is the caller's to free.
  Memory take_idle(std::size_t length, std::vector<Memory>& gone) {
    while (in_use_bytes + idle_bytes + length > bytes && !idle.contains(length)) {
      auto other = std::prev(idle.end());
      gone.push_back(pop(other));
    }
    auto found = idle.find(length);
    return found == idle.end() ? nullptr : pop(found);
  }
  Memory pop(std::map<std::size_t, std::vector<Memory>>::iterator of) {
    Memory memory = std::move(of->second.back());
    of->second.pop_back();
    idle_bytes -= of->first;
    if (of->second.empty()) idle.erase(of);
    return memory;
  }
  // Kept for the next one, unless there is enough of that: what is free is to be the kernel's again, which may hold for
  // us what the pool has no more.
  void give_back(Memory memory, std::size_t length) {
    std::function<void()> call;
    {
      std::lock_guard lock(mutex);
      if (idle_bytes + length <= limits::kIdleBytes) {
        idle[length].push_back(std::move(memory));
        idle_bytes += length;
      }
      in_use_bytes -= length;
      if (std::exchange(someone_waits, false)) call = on_return;
    }
    if (call) call();
  }
};

BufferPool::BufferPool(std::size_t buffers, std::size_t buffer_bytes)
    : state_(std::make_shared<State>(buffers * buffer_bytes, buffer_bytes)) {}

BufferPool::~BufferPool() { set_on_return(nullptr); }

Buffer BufferPool::take_from(const std::shared_ptr<State>& state, std::size_t bytes) {
  const std::size_t length = state->length_for(bytes);
  Memory memory;
  std::vector<Memory> gone;
  {
    std::lock_guard lock(state->mutex);
    if (length == 0 || state->in_use_bytes + length > state->limit) {
      state->someone_waits = true;
      return nullptr;
    }
    memory = state->take_idle(length, gone);
    state->in_use_bytes += length;
  }
  gone.clear();
  if (!memory) memory.reset(new std::byte[length]);
  auto* view = new Bytes(memory.get(), length);
  auto give_back = [state, memory = memory.release(), length](Bytes* over) {
    delete over;
    state->give_back(Memory(memory), length);
  };
  return Buffer(view, std::move(give_back));
}

Buffer BufferPool::take(std::size_t bytes) { return take_from(state_, bytes); }

std::function<Buffer(std::size_t)> BufferPool::taker() const {
  return [state = state_](std::size_t bytes) { return take_from(state, bytes); };
}

void BufferPool::set_on_return(std::function<void()> on_return) {
  std::lock_guard lock(state_->mutex);
  state_->on_return = std::move(on_return);
}

void BufferPool::set_limit(std::size_t bytes) {
  std::function<void()> call;
  {
    std::lock_guard lock(state_->mutex);
    bool more = bytes > std::exchange(state_->limit, std::min(std::max(bytes, state_->longest), state_->bytes));
    if (more && std::exchange(state_->someone_waits, false)) call = state_->on_return;
  }
  if (call) call();
}

void BufferPool::call_on_return() {
  std::lock_guard lock(state_->mutex);
  state_->someone_waits = true;
}

bool BufferPool::waited_for() const {
  std::lock_guard lock(state_->mutex);
  return state_->someone_waits;
}

std::size_t BufferPool::buffers() const { return state_->longest == 0 ? 0 : state_->bytes / state_->longest; }

std::size_t BufferPool::free_buffers() const {
  std::lock_guard lock(state_->mutex);
  return state_->longest == 0 ? 0 : (state_->bytes - state_->in_use_bytes) / state_->longest;  // the limit apart
}

std::size_t BufferPool::buffer_bytes() const { return state_->longest; }

}  // namespace zferry::flow
