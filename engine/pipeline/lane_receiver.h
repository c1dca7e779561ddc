// LaneReceiver: the receiving half of a lane. Bytes are read into one of two buffers; the whole frames in it are opened
// by a worker, DATA straight into the block that it belongs to, while the other buffer fills. Mirror: lane_sender.h.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/lifeline.h"
#include "base/result.h"
#include "flow/buffer_pool.h"
#include "pipeline/host.h"
#include "pipeline/settings.h"
#include "seal/lane_cipher.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace zferry::pipeline {

// A control frame, or a whole block: what comes out of opening.
struct Arrival {
  wire::FrameType type;
  std::vector<std::byte> message;  // not of a block
  wire::Block block;
  flow::Slice packed;
};

// Opens frames in their order and puts blocks together. Owned by one job at a time.
class FrameOpener {
 public:
  FrameOpener(std::unique_ptr<seal::Opener> opener, const flow::BufferPool& pool)
      : opener_(std::move(opener)), take_buffer_(pool.taker()), block_bytes_max_(pool.buffer_bytes()) {}
  // Opens the frames that `bytes` holds, all whole. Gives how many of the bytes it took: not all where the pool has no
  // buffer for the next block now. Errors: kLinkLost for what was damaged on the way, kProtocol for what the peer truly
  // said and must not. What came before an error is in `out`.
  Result<std::size_t> open(ConstBytes bytes, std::vector<Arrival>& out);
  // Whether blocks are welcome; else one breaks the protocol. From any thread.
  void welcome_blocks(bool welcome) { blocks_welcome_ = welcome; }

 private:
  Status open_data(ConstBytes header, ConstBytes sealed, std::vector<Arrival>& out);
  Status begin_block(const std::vector<std::byte>& message);

  std::unique_ptr<seal::Opener> opener_;
  std::function<flow::Buffer(std::size_t)> take_buffer_;
  std::size_t block_bytes_max_;  // 0: this end takes no blocks
  std::atomic<bool> blocks_welcome_{true};
  std::optional<wire::Block> block_;  // the one that DATA belongs to
  flow::Buffer buffer_;
  std::size_t filled_ = 0;
};

class LaneReceiver {
 public:
  struct Events {
    std::function<void()> heard;  // bytes came
    std::function<void(std::vector<Arrival>)> arrived;
    std::function<void(Error)> failed;  // the link's error, or a frame that was damaged on it: the last event
    std::function<void(Error)> broke;   // the peer broke the protocol; nothing more of it arrives
    std::function<void()> ended;        // the peer hung up
  };
  LaneReceiver(Host& host, const LaneSettings& settings, io::ByteStream& stream, std::unique_ptr<seal::Opener> opener,
               flow::BufferPool& pool, Events events, bool long_reads = true);
  void start() { read_more(); }
  // Lanes of no session get no memory for blocks. At first they are welcome.
  void welcome_blocks(bool welcome);
  // What comes from now on is read and forgotten: the peer shall hear us, and hang up.
  void go_deaf();
  std::uint64_t received_bytes() const { return received_bytes_; }
  // Since when the frame at the front waits for its rest; kNever where there is none.
  TimePoint incomplete_since() const { return incomplete_since_; }

 private:
  using Memory = std::shared_ptr<std::vector<std::byte>>;
  void read_more();
  void open_next();
  void open_waiting();
  void opened(Result<std::size_t> taken);
  // Length of the whole frames at the front of the current buffer. Errors: kLinkLost.
  Result<std::size_t> whole_frames() const;
  std::size_t buffer_bytes() const;

  Host& host_;
  const LaneSettings& settings_;
  io::ByteStream& stream_;
  std::shared_ptr<FrameOpener> opener_;
  bool roomy_;       // blocks come: the buffers are as long as one,
  bool long_reads_;  // unless there are many lanes
  Events events_;
  Memory current_;  // being filled
  Memory other_;    // being opened, or spare
  std::size_t filled_ = 0;
  std::size_t opened_ = 0;   // of `other_`: done,
  std::size_t to_open_ = 0;  // of this
  bool reading_ = false;
  bool opening_ = false;
  bool ended_ = false;
  bool deaf_ = false;  // the peer broke the protocol: what it sends is read and forgotten, so that it can still read us
  std::uint64_t received_bytes_ = 0;
  TimePoint incomplete_since_ = kNever;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
