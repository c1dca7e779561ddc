// NumberSet: which blocks are there: all below next(), and some beyond the first that is missing.
#pragma once

#include <cstdint>
#include <set>

namespace zferry::pipeline {

class NumberSet {
 public:
  explicit NumberSet(std::uint64_t first = 0) : next_(first) {}
  bool has(std::uint64_t number) const { return number < next_ || beyond_.contains(number); }
  void add(std::uint64_t number) {
    if (number >= next_) beyond_.insert(number);
    while (!beyond_.empty() && *beyond_.begin() == next_) {
      beyond_.erase(beyond_.begin());
      ++next_;
    }
  }
  // Forgets the numbers from this one on.
  void truncate(std::uint64_t number) {
    beyond_.erase(beyond_.lower_bound(number), beyond_.end());
    if (number < next_) next_ = number;
  }
  std::uint64_t next() const { return next_; }
  // One more than the highest.
  std::uint64_t end() const { return beyond_.empty() ? next_ : *beyond_.rbegin() + 1; }

 private:
  std::uint64_t next_;
  std::set<std::uint64_t> beyond_;
};

}  // namespace zferry::pipeline
