// LaneSender: the sending half of a lane. What is queued is sealed in its order (control on the loop, blocks on a
// worker), then written. Mirror: lane_receiver.h.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/lifeline.h"
#include "base/result.h"
#include "flow/buffer_pool.h"
#include "pipeline/host.h"
#include "pipeline/pacer.h"
#include "pipeline/settings.h"
#include "seal/lane_cipher.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace zferry::pipeline {

class LaneSender {
 public:
  struct Events {
    std::function<void()> room;
    std::function<void()> drained;  // everything queued was written
    std::function<void(Error)> failed;
  };
  LaneSender(Host& host, const LaneSettings& settings, io::ByteStream& stream, std::unique_ptr<seal::Sealer> sealer,
             std::shared_ptr<Pacer> pacer, Events events);
  void send(wire::FrameType type, const wire::Message& message);
  // A block more while another one is being sealed or written, unless that would wait longer than the lane's pace
  // allows: on a slow lane it had better go on another.
  bool has_room() const {
    int blocks = blocks_waiting_ + blocks_sealed_;
    return blocks < static_cast<int>(limits::kLaneSendBuffers) && (blocks == 0 || unwritten_bytes() <= room_bytes_);
  }
  void set_room(std::size_t bytes) { room_bytes_ = bytes; }
  void send_block(const wire::Block& block, flow::Slice packed);
  void drop_waiting_blocks();
  bool idle() const { return queue_.empty() && !sealing_ && sealed_.empty() && !writing_; }
  std::uint64_t sent_bytes() const { return sent_bytes_; }
  std::uint64_t unwritten_bytes() const;

 private:
  struct Item {
    wire::FrameType type;
    wire::Message message;  // plaintext of a control frame, a BLOCK frame's too
    flow::Slice packed;     // of a block
  };
  using Memory = std::shared_ptr<std::vector<std::byte>>;
  struct Sealed {
    Memory memory;
    std::size_t bytes;
    bool is_block;
  };
  // Seals one frame at `out`, and gives its length.
  static std::size_t seal_frame(seal::Sealer& sealer, wire::FrameType type, ConstBytes plaintext, Bytes out);
  static std::size_t seal_block(seal::Sealer& sealer, const Item& item, std::size_t frame_bytes, Bytes out);
  void seal_next();
  void write_next();
  void write_piece(std::size_t piece);
  void wrote(Result<std::size_t> count);

  Host& host_;
  const LaneSettings& settings_;
  io::ByteStream& stream_;
  std::shared_ptr<seal::Sealer> sealer_;  // shared with the job that uses it
  std::shared_ptr<Pacer> pacer_;
  Events events_;
  std::deque<Item> queue_;
  std::deque<Sealed> sealed_;
  std::vector<Memory> spare_;              // memory for sealed blocks, used again
  std::uint64_t block_bytes_in_work_ = 0;  // of the block that is being sealed
  int blocks_waiting_ = 0;
  int blocks_sealed_ = 0;
  bool sealing_ = false;
  bool writing_ = false;
  std::size_t written_of_head_ = 0;
  std::size_t room_bytes_ = limits::kLaneSendBuffers * limits::kBlockBytesMax;  // until its pace is known
  std::uint64_t sent_bytes_ = 0;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
