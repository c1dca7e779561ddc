#include "flow/buffer_pool.h"

#include <mutex>
#include <utility>
#include <vector>

namespace zferry::flow {

struct BufferPool::State {
  State(std::size_t buffers_arg, std::size_t bytes_arg) : buffers(buffers_arg), bytes(bytes_arg) {}

  const std::size_t buffers;
  const std::size_t bytes;
  mutable std::mutex mutex;
  std::vector<std::unique_ptr<std::byte[]>> idle;  // last in, first out: the warmest memory goes first
  std::size_t in_use = 0;
  bool someone_waits = false;
  std::function<void()> on_return;

  void give_back(std::unique_ptr<std::byte[]> memory) {
    std::function<void()> call;
    {
      std::lock_guard lock(mutex);
      idle.push_back(std::move(memory));
      --in_use;
      if (std::exchange(someone_waits, false)) call = on_return;
    }
    if (call) call();
  }
};

BufferPool::BufferPool(std::size_t buffers, std::size_t buffer_bytes)
    : state_(std::make_shared<State>(buffers, buffer_bytes)) {}

BufferPool::~BufferPool() { set_on_return(nullptr); }

Buffer BufferPool::take_from(const std::shared_ptr<State>& state) {
  std::unique_ptr<std::byte[]> memory;
  {
    std::lock_guard lock(state->mutex);
    if (state->in_use == state->buffers) {
      state->someone_waits = true;
      return nullptr;
    }
    ++state->in_use;
    if (!state->idle.empty()) {
      memory = std::move(state->idle.back());
      state->idle.pop_back();
    }
  }
  if (!memory) memory.reset(new std::byte[state->bytes]);
  auto* view = new Bytes(memory.get(), state->bytes);
  auto give_back = [state, memory = memory.release()](Bytes* gone) {
    delete gone;
    state->give_back(std::unique_ptr<std::byte[]>(memory));
  };
  return Buffer(view, std::move(give_back));
}

Buffer BufferPool::take() { return take_from(state_); }

std::function<Buffer()> BufferPool::taker() const {
  return [state = state_] { return take_from(state); };
}

void BufferPool::set_on_return(std::function<void()> on_return) {
  std::lock_guard lock(state_->mutex);
  state_->on_return = std::move(on_return);
}

std::size_t BufferPool::free_buffers() const {
  std::lock_guard lock(state_->mutex);
  return state_->buffers - state_->in_use;
}

std::size_t BufferPool::buffer_bytes() const { return state_->bytes; }

}  // namespace zferry::flow
