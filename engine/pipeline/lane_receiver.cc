#include "pipeline/lane_receiver.h"

#include <algorithm>

namespace zferry::pipeline {
namespace {

// What fails before it is authenticated says nothing about the peer: a bit flipped on the way is as likely, and the
// same command may succeed.
Error damaged(const Error& how) { return {Fault::kLinkLost, "a frame was damaged on the way (" + how.what + ")", {}}; }

}  // namespace

Status FrameOpener::open(ConstBytes bytes, std::vector<Arrival>& out) {
  while (!bytes.empty()) {
    ConstBytes header = bytes.first(wire::kFrameHeaderBytes);
    Result<wire::FrameHeader> frame = wire::decode_frame_header(header);
    if (!frame) return damaged(frame.error());
    ConstBytes sealed = bytes.subspan(wire::kFrameHeaderBytes, frame->sealed_bytes);
    bytes = bytes.subspan(wire::kFrameHeaderBytes + frame->sealed_bytes);
    if (frame->type == wire::FrameType::kData) {
      if (Status opened = open_data(header, sealed, out); !opened) return opened;
      continue;
    }
    std::vector<std::byte> message(sealed.size() - seal::kTagBytes);
    if (Status opened = opener_->open(header, sealed, message); !opened) return damaged(opened.error());
    if (frame->type == wire::FrameType::kBlock) {
      if (Status begun = begin_block(message); !begun) return begun;
      continue;
    }
    if (frame->type == wire::FrameType::kHeartbeat && message.empty()) continue;  // it was heard when its bytes came
    out.push_back({frame->type, std::move(message), {}, {}});
  }
  return {};
}

Status FrameOpener::begin_block(const std::vector<std::byte>& message) {
  if (block_) return Error{Fault::kProtocol, "a block began before the last one was whole", {}};
  Result<wire::Block> block = wire::decode_block(message);
  if (!block) return block.take_error();
  buffer_ = take_buffer_();
  if (!buffer_) return Error{Fault::kProtocol, "the peer sent more blocks than it was given credit for", {}};
  if (block->packed_bytes > buffer_->size()) return Error{Fault::kProtocol, "a block is longer than was agreed", {}};
  block_ = *block;
  filled_ = 0;
  return {};
}

Status FrameOpener::open_data(ConstBytes header, ConstBytes sealed, std::vector<Arrival>& out) {
  std::size_t bytes = sealed.size() - seal::kTagBytes;
  if (!block_ || bytes > block_->packed_bytes - filled_)
    return Error{Fault::kProtocol, "data came that belongs to no block", {}};
  // Straight into the block: what does not open leaves the block unfinished, and an unfinished block is never used.
  if (Status opened = opener_->open(header, sealed, buffer_->subspan(filled_, bytes)); !opened)
    return damaged(opened.error());
  filled_ += bytes;
  if (filled_ < block_->packed_bytes) return {};
  ConstBytes packed = buffer_->first(filled_);
  out.push_back({wire::FrameType::kBlock, {}, *block_, {std::move(buffer_), packed}});
  block_.reset();
  return {};
}

LaneReceiver::LaneReceiver(Host& host, const LaneSettings& settings, io::ByteStream& stream,
                           std::unique_ptr<seal::Opener> opener, flow::BufferPool& pool, Events events)
    : host_(host),
      stream_(stream),
      opener_(std::make_shared<FrameOpener>(std::move(opener), pool)),
      events_(std::move(events)) {
  // Room for what is left of a frame and a good read behind it, whatever sizes the peer prefers.
  std::size_t bytes = std::min(limits::kLaneReceiveBytes, settings.block_bytes + 2 * limits::kFrameBytesMax);
  current_ = std::make_shared<std::vector<std::byte>>(bytes);
  other_ = std::make_shared<std::vector<std::byte>>(bytes);
}

Result<std::size_t> LaneReceiver::whole_frames() const {
  std::size_t whole = 0;
  while (true) {
    auto frame = wire::next_frame(ConstBytes(*current_).subspan(whole, filled_ - whole));
    if (!frame) return damaged(frame.error());
    if (!*frame) return whole;
    whole += wire::kFrameHeaderBytes + (*frame)->sealed_bytes;
  }
}

void LaneReceiver::read_more() {
  if (reading_ || ended_ || filled_ == current_->size()) return;
  reading_ = true;
  Bytes room = Bytes(*current_).subspan(filled_);
  stream_.read(room, lifeline_.guard([this, keep = current_](Result<std::size_t> count) {
    reading_ = false;
    if (!count) return events_.failed(count.take_error());
    if (*count == 0) {
      ended_ = true;
      if (!opening_) events_.ended();
      return;
    }
    received_bytes_ += *count;
    events_.heard();
    if (deaf_) return read_more();
    filled_ += *count;
    open_next();
  }));
}

// Gives the whole frames to a worker and goes on reading into the other buffer. While a worker is busy, reading stops
// as soon as there is a frame to open next: the kernel's buffer holds the rest, and the peer feels it.
void LaneReceiver::open_next() {
  if (opening_) {
    Result<std::size_t> waiting = whole_frames();
    if (waiting && *waiting == 0) read_more();
    return;
  }
  Result<std::size_t> whole = whole_frames();
  if (!whole) return events_.failed(whole.take_error());
  if (*whole > 0 || filled_ == 0) {
    incomplete_since_ = kNever;
  } else if (incomplete_since_ == kNever) {
    incomplete_since_ = host_.loop.now();
  }
  if (*whole == 0) {
    if (ended_) return events_.ended();
    return read_more();
  }
  ZF_ASSERT(!reading_);
  std::copy(current_->begin() + static_cast<std::ptrdiff_t>(*whole),
            current_->begin() + static_cast<std::ptrdiff_t>(filled_), other_->begin());
  filled_ -= *whole;
  std::swap(current_, other_);
  opening_ = true;
  auto arrivals = std::make_shared<std::vector<Arrival>>();
  auto status = std::make_shared<Status>();
  auto job = [opener = opener_, memory = other_, bytes = *whole, arrivals, status] {
    *status = opener->open(ConstBytes(*memory).first(bytes), *arrivals);
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, arrivals, status] {
    opening_ = false;
    // The listener may end this object from inside its events.
    auto still_here = lifeline_.guard([this, status] {
      if (*status) return open_next();
      if (status->error().fault == Fault::kLinkLost) return events_.failed(status->take_error());
      deaf_ = true;
      filled_ = 0;
      read_more();
      events_.broke(status->take_error());
    });
    if (!arrivals->empty()) events_.arrived(std::move(*arrivals));
    still_here();
  }));
  read_more();
}

}  // namespace zferry::pipeline
