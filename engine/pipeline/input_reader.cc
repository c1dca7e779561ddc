#include "pipeline/input_reader.h"

#include <algorithm>

namespace zferry::pipeline {

InputReader::InputReader(io::ByteStream& input, flow::BufferPool& pool, std::size_t leaf_bytes, Events events)
    : input_(input), pool_(pool), leaf_bytes_(leaf_bytes), events_(std::move(events)) {}

void InputReader::read_on() {
  if (reading_ || over_) return;
  if (!buffer_) {
    if (!events_.room()) return;
    buffer_ = pool_.take();
    if (!buffer_) return;
    cut_ = filled_ = 0;
  }
  reading_ = true;
  // A buffer starts at a leaf's start, so the leaf's end is the buffer's.
  Bytes room = buffer_->subspan(filled_, leaf_bytes_ - filled_);
  input_.read(room,
              lifeline_.guard([this, keep = buffer_](Result<std::size_t> count) { read_done(std::move(count)); }));
}

void InputReader::read_done(Result<std::size_t> count) {
  reading_ = false;
  if (!count) {
    over_ = true;
    return events_.failed(count.take_error());
  }
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
  cut(ended || filled_ == leaf_bytes_ || events_.hungry());
  still_here();
}

void InputReader::offer() {
  if (buffer_ && filled_ > cut_ && events_.hungry()) cut(true);
}

// Whole blocks of what was read; `all`: what is left of it as well.
void InputReader::cut(bool all) {
  std::size_t there = buffer_ ? filled_ - cut_ : 0;
  std::size_t length = std::max<std::size_t>(1, events_.length());
  if (there == 0 || (there < length && !all)) return;
  std::size_t bytes = std::min(there, length);
  flow::Slice block{buffer_, ConstBytes(*buffer_).subspan(cut_, bytes)};
  cut_ += bytes;
  // A read may be under way behind the cut: the rest of the buffer becomes the next block's.
  if (cut_ == leaf_bytes_) buffer_.reset();
  auto still_here = lifeline_.guard([this, all] { cut(all); });
  events_.block(std::move(block));
  still_here();
}

}  // namespace zferry::pipeline
