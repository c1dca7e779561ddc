// RunningSum: Fletcher-4 of a stream as it is written, from pieces that need not end with a word. One thread.
#pragma once

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "zstream/fletcher4.h"

namespace zferry::zstream {

class RunningSum {
 public:
  explicit RunningSum(bool swapped) : swapped_(swapped) {}

  // More of a header or of a payload.
  void add(ConstBytes piece) {
    if (part_bytes_ > 0) {
      const std::size_t taken = std::min(part_.size() - part_bytes_, piece.size());
      std::copy_n(piece.begin(), taken, part_.begin() + static_cast<std::ptrdiff_t>(part_bytes_));
      part_bytes_ += taken;
      piece = piece.subspan(taken);
      if (part_bytes_ < part_.size()) return;
      part_bytes_ = 0;
      add_words(part_);
    }
    const std::size_t whole = piece.size() / part_.size() * part_.size();
    add_words(piece.first(whole));
    part_bytes_ = piece.size() - whole;
    std::copy_n(piece.begin() + static_cast<std::ptrdiff_t>(whole), part_bytes_, part_.begin());
  }
  // A payload is over: ZFS leaves out what is less than a word at its end.
  void end_payload() { part_bytes_ = 0; }
  const Fletcher4& value() const { return sums_; }

 private:
  void add_words(ConstBytes words) { sums_ = append(sums_, fletcher4(words, swapped_)); }

  bool swapped_;
  Fletcher4 sums_;
  std::array<std::byte, 4> part_{};
  std::size_t part_bytes_ = 0;
};

}  // namespace zferry::zstream
