// The fletcher-4 sums of a piece of stream, split in three: the walker plans (sequential, headers only), compute() sums
// (on any thread, the expensive part), ChecksumVerifier folds and compares (sequential, cheap). It works because
// fletcher-4 is linear in its state.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "zstream/fletcher4.h"

namespace zferry::zstream {

struct ChecksumStep {
  enum class What : std::uint8_t {
    kReset,    // a BEGIN starts: the sum starts at zero
    kSum,      // add bytes [offset, offset + bytes) of the piece; bytes is a multiple of 4
    kWord,     // add `word`: one that straddles pieces, put together by the walker
    kCompare,  // the running sum must equal `expected`
  };
  What what;
  bool swapped = false;    // kSum: the stream's byte order is not ours
  std::uint32_t word = 0;  // kWord: in our byte order
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t type = 0;  // kCompare: the record's type, index and offset in the stream, for the error
  std::uint64_t record = 0;
  std::uint64_t stream_offset = 0;
  Fletcher4 expected = {};
  bool operator==(const ChecksumStep&) const = default;
};

struct ChecksumPlan {
  std::vector<ChecksumStep> steps;
  bool operator==(const ChecksumPlan&) const = default;
};

// Sums of the kSum steps of a plan, in their order.
struct ChecksumSums {
  std::vector<Fletcher4> sums;
};
// Thread-safe. `bytes` is the piece that the plan was made from.
ChecksumSums compute(const ChecksumPlan& plan, ConstBytes bytes);

class ChecksumVerifier {
 public:
  // REQUIRES: the plans of a stream in their order, each with its own sums. Errors: kStreamDamaged, with record, type
  // and offset; nothing more may be folded then.
  Status fold(const ChecksumPlan& plan, const ChecksumSums& sums);
  std::uint64_t compared() const { return compared_; }  // checksums found right so far
  // Of the substream in hand, so far as it was folded.
  const Fletcher4& running() const { return running_; }

 private:
  Fletcher4 running_;
  std::uint64_t compared_ = 0;
};

}  // namespace zferry::zstream
