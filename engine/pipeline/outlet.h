// Outlet: where the target's stream goes: a consumer, a file, or standard output. It withholds the last kTailBytes of
// what it was given, so that a consumer cannot commit before the target knows that the stream is whole.
// docs/PROTOCOL.md, "Endings".
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/lifeline.h"
#include "base/result.h"
#include "flow/buffer_pool.h"
#include "pipeline/host.h"
#include "pipeline/settings.h"
#include "wire/messages.h"

namespace zferry::pipeline {

// What differs between the three destinations.
class Destination {
 public:
  virtual ~Destination() = default;
  virtual io::ByteStream& stream() = 0;
  // All was written: makes it stand. `done` with how, or with why not.
  virtual void finish(std::function<void(Result<wire::Completion>)> done) = 0;
  // It will not be completed: no trace stays where that can be helped. `gone` when it is over.
  virtual void drop(std::function<void()> gone) = 0;
  // A write failed: the destination's own account of it, which may take a moment (a consumer's exit).
  virtual void explain(Error write_error, std::function<void(Error)> tell) { tell(std::move(write_error)); }
  // Something went wrong without a write: a consumer left.
  virtual void on_early_end(std::function<void(Error)>) {}
};

// Errors: kCannotRun, kOutputFailed, kUsage.
Result<std::unique_ptr<Destination>> open_destination(Host& host, const TargetSettings& settings);
// Whether what a completion record tells of is still there, as far as that can be known: a command's exit was its word;
// a file has its length; what went to standard output is anybody's.
bool destination_still_has(Host& host, const TargetSettings& settings, std::uint64_t stream_bytes);
// Names the destination for completion records: the same words for the same place.
std::string destination_name(const TargetSettings& settings);

class Outlet {
 public:
  struct Events {
    std::function<void()> written;      // written_bytes() grew
    std::function<void(Error)> failed;  // once
    std::function<void(wire::Completion)> finished;
  };
  Outlet(std::unique_ptr<Destination> destination, std::size_t tail_bytes, Events events);
  void write(flow::Slice bytes);
  // FINAL was right: everything may go, and the destination be completed.
  void release();
  // Ends without completing; `gone` once the destination is.
  void drop(std::function<void()> gone);
  std::uint64_t written_bytes() const { return written_bytes_; }
  // Bytes of the stream that hold no block's memory any more: written, or withheld in a copy of their own.
  std::uint64_t settled_bytes() const { return written_bytes_ + (tail_is_copy_ ? waiting_bytes_ : 0); }
  bool writing() const { return writing_; }

 private:
  void write_next();
  void copy_tail();
  void fail(Error why);

  std::unique_ptr<Destination> destination_;
  Events events_;
  std::size_t withheld_bytes_;
  std::deque<flow::Slice> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
  bool tail_is_copy_ = false;
  bool writing_ = false;
  bool released_ = false;
  bool finishing_ = false;
  bool over_ = false;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
