#include "pipeline/lane_receiver.h"

#include <algorithm>
#include <utility>

namespace zferry::pipeline {
namespace {

// How soon to look again for a buffer, when all hold blocks.
constexpr Duration kBufferPatience = std::chrono::milliseconds(2);

// What fails before it is authenticated says nothing about the peer: a bit flipped on the way is as likely, and the
// same command may succeed.
Error damaged(const Error& how) { return {Fault::kLinkLost, "a frame was damaged on the way (" + how.what + ")", {}}; }

}  // namespace

Result<std::size_t> FrameOpener::open(ConstBytes bytes, std::vector<Arrival>& out) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    // More than the window's blocks may be on their way: copies of what another lane brings as well. They wait here,
    // never the window's own: the pool has a buffer a lane beyond the window.
    if (block_ && !buffer_) buffer_ = take_buffer_(block_->packed_bytes);
    if (block_ && !buffer_) return taken;
    ConstBytes header = bytes.subspan(taken, wire::kFrameHeaderBytes);
    Result<wire::FrameHeader> frame = wire::decode_frame_header(header);
    if (!frame) return damaged(frame.error());
    ConstBytes sealed = bytes.subspan(taken + wire::kFrameHeaderBytes, frame->sealed_bytes);
    taken += wire::kFrameHeaderBytes + frame->sealed_bytes;
    if (frame->type == wire::FrameType::kData) {
      if (Status opened = open_data(header, sealed, out); !opened) return opened.take_error();
      continue;
    }
    std::vector<std::byte> message(sealed.size() - seal::kTagBytes);
    if (Status opened = opener_->open(header, sealed, message); !opened) return damaged(opened.error());
    if (frame->type == wire::FrameType::kBlock) {
      if (Status begun = begin_block(message); !begun) return begun.take_error();
      continue;
    }
    if (frame->type == wire::FrameType::kHeartbeat && message.empty()) continue;  // it was heard when its bytes came
    out.push_back({frame->type, std::move(message), {}, {}});
  }
  return taken;
}

Status FrameOpener::begin_block(const std::vector<std::byte>& message) {
  if (block_) return Error{Fault::kProtocol, "a block began before the last one was whole", {}};
  Result<wire::Block> block = wire::decode_block(message);
  if (!block) return block.take_error();
  if (block_bytes_max_ == 0 || !blocks_welcome_) return Error{Fault::kProtocol, "a block came where none is taken", {}};
  if (block->packed_bytes > block_bytes_max_) return Error{Fault::kProtocol, "a block is longer than was agreed", {}};
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
  buffer_.reset();
  block_.reset();
  return {};
}

LaneReceiver::LaneReceiver(Host& host, const LaneSettings& settings, io::ByteStream& stream,
                           std::unique_ptr<seal::Opener> opener, flow::BufferPool& pool, Events events, bool long_reads)
    : host_(host),
      settings_(settings),
      stream_(stream),
      opener_(std::make_shared<FrameOpener>(std::move(opener), pool)),
      roomy_(pool.buffer_bytes() > 0),
      long_reads_(long_reads),
      events_(std::move(events)),
      current_(std::make_shared<std::vector<std::byte>>(buffer_bytes())),
      other_(std::make_shared<std::vector<std::byte>>(buffer_bytes())) {}

// Room for what is left of a frame and a good read behind it, whatever sizes the peer prefers.
std::size_t LaneReceiver::buffer_bytes() const {
  constexpr std::size_t kFrames = 2 * limits::kFrameBytesMax;
  return roomy_ && long_reads_ ? std::min(limits::kLaneReceiveBytes, settings_.block_bytes + kFrames) : kFrames;
}

void LaneReceiver::welcome_blocks(bool welcome) {
  if (deaf_) return;
  opener_->welcome_blocks(welcome);
  roomy_ = welcome;
  if (welcome || reading_ || opening_ || filled_ > 0) return;  // longer buffers come at the next turn
  current_ = std::make_shared<std::vector<std::byte>>(buffer_bytes());
  other_ = std::make_shared<std::vector<std::byte>>(buffer_bytes());
}

void LaneReceiver::go_deaf() {
  if (std::exchange(deaf_, true)) return;
  constexpr std::size_t kEnough = 64 * limits::KiB;
  opener_.reset();  // and with it the block that it has begun
  current_ = std::make_shared<std::vector<std::byte>>(kEnough);
  other_.reset();
  filled_ = 0;
  incomplete_since_ = kNever;
  read_more();
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
  if (other_->size() < buffer_bytes()) other_ = std::make_shared<std::vector<std::byte>>(buffer_bytes());
  std::copy(current_->begin() + static_cast<std::ptrdiff_t>(*whole),
            current_->begin() + static_cast<std::ptrdiff_t>(filled_), other_->begin());
  filled_ -= *whole;
  std::swap(current_, other_);
  opening_ = true;
  opened_ = 0;
  to_open_ = *whole;
  open_waiting();
  read_more();
}

void LaneReceiver::open_waiting() {
  auto arrivals = std::make_shared<std::vector<Arrival>>();
  auto taken = std::make_shared<Result<std::size_t>>(0);
  auto job = [opener = opener_, memory = other_, from = opened_, bytes = to_open_ - opened_, arrivals, taken] {
    *taken = opener->open(ConstBytes(*memory).subspan(from, bytes), *arrivals);
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, arrivals, taken] {
    // The listener may end this object from inside its events.
    auto still_here = lifeline_.guard([this, taken] { opened(std::move(*taken)); });
    if (!arrivals->empty() && !deaf_) events_.arrived(std::move(*arrivals));
    still_here();
  }));
}

void LaneReceiver::opened(Result<std::size_t> taken) {
  if (deaf_) {
    opening_ = false;
    if (ended_) events_.ended();
    return;
  }
  if (taken) {
    opened_ += *taken;
    if (opened_ < to_open_) {
      host_.loop.after(kBufferPatience, lifeline_.guard([this] {
        if (deaf_) return opened(0);
        open_waiting();
      }));
      return;
    }
    opening_ = false;
    return open_next();
  }
  opening_ = false;
  if (taken.error().fault == Fault::kLinkLost) return events_.failed(taken.take_error());
  deaf_ = true;
  filled_ = 0;
  read_more();
  events_.broke(taken.take_error());
}

}  // namespace zferry::pipeline
