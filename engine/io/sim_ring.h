// SimRing: a bounded byte queue that copies in and out in at most two pieces. Its memory grows with what it holds.
// Single-threaded, like all of the simulator.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>

#include "base/assert.h"
#include "base/bytes.h"

namespace zferry::io {

class SimRing {
 public:
  // REQUIRES: capacity > 0.
  explicit SimRing(std::size_t capacity) : capacity_(capacity) { ZF_ASSERT(capacity > 0); }

  std::size_t capacity() const { return capacity_; }
  // What it holds already stays, also where that is more.
  void set_capacity(std::size_t capacity) {
    ZF_ASSERT(capacity > 0);
    capacity_ = capacity;
  }
  std::size_t size() const { return size_; }
  std::size_t room() const { return capacity_ > size_ ? capacity_ - size_ : 0; }

  // REQUIRES: from.size() <= room().
  void put(ConstBytes from) {
    ZF_ASSERT(from.size() <= room());
    grow(size_ + from.size());
    std::size_t at = place(size_);
    std::size_t first = std::min(from.size(), held_ - at);
    copy(memory_.get() + at, from.data(), first);
    copy(memory_.get(), from.data() + first, from.size() - first);
    size_ += from.size();
  }
  // Takes the oldest into.size() bytes. REQUIRES: into.size() <= size().
  void get(Bytes into) {
    ZF_ASSERT(into.size() <= size_);
    std::size_t first = std::min(into.size(), held_ - start_);
    copy(into.data(), memory_.get() + start_, first);
    copy(into.data() + first, memory_.get(), into.size() - first);
    start_ = held_ == 0 ? 0 : place(into.size());
    size_ -= into.size();
  }
  // Forgets the newest `count` bytes. REQUIRES: count <= size().
  void drop_newest(std::size_t count) {
    ZF_ASSERT(count <= size_);
    size_ -= count;
  }
  void clear() { size_ = 0; }
  // Calls visit(Bytes) on the newest `count` bytes, oldest first, in one or two pieces. REQUIRES: count <= size().
  template <class Visit>
  void visit_newest(std::size_t count, Visit visit) {
    ZF_ASSERT(count <= size_);
    if (count == 0) return;
    std::size_t at = place(size_ - count);
    std::size_t first = std::min(count, held_ - at);
    visit(Bytes{memory_.get() + at, first});
    if (first < count) visit(Bytes{memory_.get(), count - first});
  }

 private:
  static void copy(std::byte* to, const std::byte* from, std::size_t count) {
    if (count != 0) std::memcpy(to, from, count);
  }
  // REQUIRES: memory_ is there; held_ is a power of two.
  std::size_t place(std::size_t offset) const { return (start_ + offset) & (held_ - 1); }
  void grow(std::size_t needed) {
    if (needed <= held_) return;
    std::size_t held = std::bit_ceil(std::max<std::size_t>(needed, 4096));
    auto memory = std::make_unique_for_overwrite<std::byte[]>(held);
    std::size_t first = std::min(size_, held_ - start_);
    copy(memory.get(), memory_.get() + start_, first);
    copy(memory.get() + first, memory_.get(), size_ - first);
    memory_ = std::move(memory);
    held_ = held;
    start_ = 0;
  }

  std::size_t capacity_;
  std::size_t held_ = 0;  // bytes of memory_: 0 or a power of two
  std::size_t start_ = 0;
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace zferry::io
