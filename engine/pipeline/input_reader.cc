#include "pipeline/input_reader.h"

#include <algorithm>

namespace zferry::pipeline {

InputReader::InputReader(io::ByteStream& input, flow::BufferPool& pool, std::size_t buffer_bytes, Events events)
    : input_(input), pool_(pool), buffer_bytes_(buffer_bytes), events_(std::move(events)) {}

// A buffer with room in it; what waits in a full one goes along.
bool InputReader::renew_buffer() {
  if (buffer_ && filled_ < buffer_bytes_) return true;
  if (!events_.room()) return false;
  flow::Buffer next = pool_.take();
  if (!next) return false;
  const std::size_t rest = there();
  if (rest > 0) copy_bytes(buffer_->subspan(cut_, rest), *next);
  buffer_ = std::move(next);
  cut_ = 0;
  filled_ = rest;
  return true;
}

void InputReader::read_on() {
  if (reading_ || over_ || !renew_buffer()) return;
  reading_ = true;
  const std::size_t most = std::min(buffer_bytes_ - filled_, std::max<std::size_t>(1, events_.more(there())));
  input_.read(buffer_->subspan(filled_, most),
              lifeline_.guard([this, keep = buffer_](Result<std::size_t> count) { read_done(std::move(count)); }));
}

void InputReader::read_done(Result<std::size_t> count) {
  reading_ = false;
  if (!count) {
    over_ = true;
    return events_.failed(count.take_error());
  }
  const ConstBytes read = buffer_->subspan(filled_, *count);
  filled_ += *count;
  bool ended = *count == 0;
  auto still_here = lifeline_.guard([&] {
    if (ended) {
      over_ = true;
      buffer_.reset();
      return events_.ended();
    }
    read_on();
  });
  if (!ended) events_.read(read);
  const bool full = filled_ == buffer_bytes_ && cut_ == 0;
  cut(ended || full ? CutFor::kMust : events_.hungry() ? CutFor::kHunger : CutFor::kLength);
  still_here();
}

void InputReader::offer() {
  if (there() > 0 && events_.hungry()) cut(CutFor::kHunger);
}

// Whole blocks of what was read. What a full buffer must give up is one block: the rest can go on in the next one.
void InputReader::cut(CutFor why) {
  if (there() == 0) return;
  const Cut next = events_.cut(there(), why);
  if (next.bytes == 0) return;
  flow::Slice block{buffer_, ConstBytes(*buffer_).subspan(cut_, next.bytes)};
  cut_ += next.bytes;
  const bool full = filled_ == buffer_bytes_ && !over_;
  if (there() == 0 && !reading_ && (next.ends_buffer || full)) buffer_.reset();
  auto still_here = lifeline_.guard([this, why, full] { cut(full ? CutFor::kLength : why); });
  events_.block(std::move(block));
  still_here();
}

}  // namespace zferry::pipeline
