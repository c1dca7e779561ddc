// Flight: the source's blocks that are on the link, in their packed form, until the target has them for good: received,
// or durable where it has a store. A lane that dies leaves its blocks homeless: they go first on whatever lane has room
// next; so does what a target that died had received and not made durable. What a slow lane holds up goes on another as
// well: the first that arrives counts. Threading: the loop's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/limits.h"
#include "flow/buffer_pool.h"
#include "wire/messages.h"

namespace zferry::pipeline {

// More than these the target cannot tell of in one ACK.
inline constexpr std::uint64_t kBlocksUnderWay = limits::kAckWordsMax * 64;

class Flight {
 public:
  // A block, and its packed form.
  struct Passenger {
    wire::Block header;
    flow::Slice packed;
  };
  // The target has what comes before this block, from an earlier run: it is not here to be sent again.
  void begin_at(std::uint64_t number) { gone_below_ = number; }
  void add(const wire::Block& header, flow::Slice packed, std::uint64_t lane, TimePoint now);
  // The target has all below ack.received, and of the others what `beyond` says.
  void acknowledge(const wire::Ack& ack);
  // The same from a target that was started anew: what it does not name it has lost. False where it has lost what is
  // not here any more.
  bool acknowledge_anew(const wire::Ack& ack);
  // Its blocks have no lane any more. Of the bytes that it was given, the last `unwritten` never left this host.
  void lane_lost(std::uint64_t lane, std::uint64_t unwritten);
  bool has_homeless() const { return !homeless_.empty(); }
  // The lowest of them. REQUIRES: has_homeless().
  const wire::Block& first_homeless() const { return aboard_.at(*homeless_.begin()).header; }
  // That goes on this lane now. REQUIRES: has_homeless().
  Passenger take_homeless(std::uint64_t lane);
  // The first block that another lane has had since before `late`, and that the target still lacks while it has got at
  // least so many that went later: a copy of it, which goes on this lane. One copy each.
  std::optional<Passenger> take_copy(std::uint64_t lane, TimePoint late, std::size_t overtaken_by);

  // A block that went in a form that is of no use to the target: it goes again in this one.
  void exchange(const wire::Block& header, flow::Slice packed);
  // The target may still lack it.
  bool holds(std::uint64_t number) const;

  // Stream offset below which the target has everything for good.
  std::uint64_t acknowledged_bytes() const { return acknowledged_bytes_; }
  // Packed bytes that had left this host already when their lane died.
  std::uint64_t sent_again_bytes() const { return sent_again_bytes_; }
  // Packed bytes that went a second time because their lane was late with them.
  std::uint64_t copied_bytes() const { return copied_bytes_; }
  std::size_t blocks() const { return aboard_.size(); }

 private:
  struct Aboard {
    wire::Block header;
    flow::Slice packed;  // empty: the target has it for good
    std::uint64_t lane;  // where it went first; a copy's is not noted
    TimePoint since;
    bool there = false;
    bool copied = false;
    std::size_t overtaken_by = 0;
  };
  void let_go(std::uint64_t below);
  void note_overtaking(std::uint64_t number, TimePoint since);
  std::map<std::uint64_t, Aboard> aboard_;  // by number
  std::set<std::uint64_t> homeless_;
  std::uint64_t gone_below_ = 0;
  std::uint64_t acknowledged_bytes_ = 0;
  std::uint64_t sent_again_bytes_ = 0;
  std::uint64_t copied_bytes_ = 0;
};

}  // namespace zferry::pipeline
