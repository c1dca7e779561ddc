// StepPlanner: turns "these bytes are summed as one run" into the steps of a ChecksumPlan, whatever the pieces that the
// bytes come in. Neighbouring runs become one step; a word that straddles pieces becomes a kWord. For the walker's own
// use; one thread.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "zstream/checksum_plan.h"

namespace zferry::zstream {

class StepPlanner {
 public:
  // The stream's byte order from here on.
  void set_swapped(bool swapped);
  // A BEGIN: the sum starts at zero.
  void reset();
  // The next bytes of a run, which lie at `offset` of the piece.
  void sum(std::size_t offset, ConstBytes bytes);
  // A whole run whose bytes were put together elsewhere. REQUIRES: whole words.
  void sum_held(ConstBytes bytes);
  // The run is over: what is left of it, fewer than 4 bytes, counts for nothing.
  void end_run() { part_bytes_ = 0; }
  // `step` is a kCompare.
  void compare(ChecksumStep step);
  // The piece is over.
  ChecksumPlan take();

  // Bytes of the current run that wait for the rest of their word, fewer than 4. Between two pieces they and the byte
  // order are all that a planner knows.
  ConstBytes part() const { return ConstBytes(part_).first(part_bytes_); }
  void restore(bool swapped, ConstBytes part);

 private:
  void flush();
  void word(ConstBytes bytes);

  ChecksumPlan plan_;
  bool swapped_ = false;
  std::size_t pending_offset_ = 0;  // a step that may still grow
  std::size_t pending_bytes_ = 0;
  std::array<std::byte, 4> part_{};  // of a word whose rest is still to come
  std::size_t part_bytes_ = 0;
};

}  // namespace zferry::zstream
