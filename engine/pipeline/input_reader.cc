#include "pipeline/input_reader.h"

namespace zferry::pipeline {

InputReader::InputReader(io::Loop& loop, io::ByteStream& input, flow::BufferPool& pool, std::size_t leaf_bytes,
                         Events events)
    : input_(input), pool_(pool), leaf_bytes_(leaf_bytes), events_(std::move(events)) {
  pool_.set_on_return([&loop, resume = lifeline_.guard([this] { read_on(); })] { loop.post(resume); });
}

void InputReader::read_on() {
  if (reading_ || over_) return;
  if (!buffer_) {
    buffer_ = pool_.take();
    if (!buffer_) return;  // read_on() is called again when one comes back
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
  if (ended || filled_ == leaf_bytes_ || events_.hungry()) cut();
  still_here();
}

void InputReader::offer() {
  if (buffer_ && filled_ > cut_ && events_.hungry()) cut();
}

void InputReader::cut() {
  if (filled_ == cut_) return;
  flow::Slice block{buffer_, ConstBytes(*buffer_).subspan(cut_, filled_ - cut_)};
  cut_ = filled_;
  // A read may be under way behind the cut: the rest of the buffer becomes the next block's.
  if (filled_ == leaf_bytes_) buffer_.reset();
  events_.block(std::move(block));
}

}  // namespace zferry::pipeline
