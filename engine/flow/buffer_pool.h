// BufferPool: the blocks' memory, a fixed amount of it, in buffers that are made at first use and kept for others of
// their length. This is the back-pressure of a pipeline: who gets no buffer waits. docs/ARCHITECTURE.md, "Memory".
// Threading: take() and the return of a buffer from any thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

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

// Bytes that are in no pool's memory. `gone` is called with their last owner's end.
Slice slice_of(std::vector<std::byte> bytes, std::function<void()> gone = {});

class BufferPool {
 public:
  // So many buffers of the longest kind, or more of shorter ones.
  BufferPool(std::size_t buffers, std::size_t buffer_bytes);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A buffer of at least so many bytes, up to a grain more (0: of the longest kind). Null when too much is in use;
  // on_return is then called once, from whatever thread gives one back.
  Buffer take(std::size_t bytes = 0);
  // take() for a job that may outlive this object.
  std::function<Buffer(std::size_t bytes)> taker() const;
  void set_on_return(std::function<void()> on_return);
  // on_return is called with the next buffer that comes back, as after a take() that failed.
  void call_on_return();
  // From now on no more than so many bytes are given out, whatever there could be: what is read far ahead of its use
  // is cold again by then.
  void set_limit(std::size_t bytes);
  // take() has failed since a buffer came back last.
  bool waited_for() const;
  std::size_t buffers() const;  // of the longest kind, in all
  std::size_t free_buffers() const;
  std::size_t buffer_bytes() const;

 private:
  struct State;
  static Buffer take_from(const std::shared_ptr<State>& state, std::size_t bytes);

  std::shared_ptr<State> state_;
};

}  // namespace zferry::flow
