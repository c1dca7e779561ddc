// OrderedQueue: things that are worked on in parallel and leave in the order in which they came. Whoever puts a block
// into the work queue reserves its place here first; the consumer waits on the head only.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "base/assert.h"

namespace zferry::flow {

template <class T>
class OrderedQueue {
 public:
  explicit OrderedQueue(std::uint64_t first = 0) : first_(first) {}
  // The next place, numbered from the first.
  std::uint64_t reserve() {
    places_.emplace_back();
    return first_ + places_.size() - 1;
  }
  // REQUIRES: `number` was reserved, and is neither filled nor popped.
  void fill(std::uint64_t number, T value) {
    ZF_ASSERT(number >= first_ && number - first_ < places_.size() && !places_[number - first_]);
    places_[number - first_] = std::move(value);
  }
  // A place beyond the end reserves all places before it. False when it was filled or popped already: the first copy
  // wins.
  bool fill_any(std::uint64_t number, T value) {
    if (number < first_) return false;
    while (number - first_ >= places_.size()) places_.emplace_back();
    if (places_[number - first_]) return false;
    places_[number - first_] = std::move(value);
    return true;
  }
  // Whether fill_any() of this number would be a copy.
  bool has(std::uint64_t number) const {
    return number < first_ || (number - first_ < places_.size() && places_[number - first_]);
  }
  // Forgets the places from `number` on, filled or not; they may be filled anew.
  void truncate(std::uint64_t number) {
    if (number < end()) places_.resize(number > first_ ? number - first_ : 0);
  }
  bool empty() const { return places_.empty(); }
  std::size_t size() const { return places_.size(); }
  std::uint64_t first() const { return first_; }
  std::uint64_t end() const { return first_ + places_.size(); }  // the next place that is not reserved
  bool head_ready() const { return !places_.empty() && places_.front(); }
  // REQUIRES: head_ready().
  const T& head() const {
    ZF_ASSERT(head_ready());
    return *places_.front();
  }
  // REQUIRES: head_ready().
  T pop() {
    ZF_ASSERT(head_ready());
    T value = std::move(*places_.front());
    places_.pop_front();
    ++first_;
    return value;
  }

 private:
  std::deque<std::optional<T>> places_;
  std::uint64_t first_;
};

}  // namespace zferry::flow
