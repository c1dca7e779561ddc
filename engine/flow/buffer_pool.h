// BufferPool: the blocks' memory, a fixed number of buffers of one size, made at first use and kept. This is the
// back-pressure of a pipeline: who gets no buffer waits. docs/ARCHITECTURE.md, "Memory". Threading: take() and the
// return of a buffer from any thread.
#pragma once

#include <functional>
#include <memory>

#include "base/bytes.h"

namespace zferry::flow {

// Shared ownership of one buffer's memory; it goes back to its pool with its last owner, also after the pool itself is
// gone.
using Buffer = std::shared_ptr<Bytes>;

// A part of a buffer, and a share in it.
struct Slice {
  Buffer buffer;
  ConstBytes bytes;
};

class BufferPool {
 public:
  BufferPool(std::size_t buffers, std::size_t buffer_bytes);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Null when all are in use; on_return is then called once, from whatever thread gives one back.
  Buffer take();
  // take() for a job that may outlive this object.
  std::function<Buffer()> taker() const;
  void set_on_return(std::function<void()> on_return);
  std::size_t free_buffers() const;
  std::size_t buffer_bytes() const;

 private:
  struct State;
  static Buffer take_from(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
};

}  // namespace zferry::flow
