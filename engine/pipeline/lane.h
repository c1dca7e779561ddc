// Lane: one established connection of a session: messages and blocks out, messages and blocks in, sealed and opened on
// the way. docs/PROTOCOL.md, "Frames". Sealing and opening run on the workers, one job at a time each way, so that a
// nonce has one owner. Threading: the loop's; jobs own what they touch.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/lifeline.h"
#include "base/result.h"
#include "flow/buffer_pool.h"
#include "pipeline/host.h"
#include "pipeline/lane_keys.h"
#include "pipeline/pacer.h"
#include "pipeline/settings.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace zferry::pipeline {

struct LaneEvents {
  std::function<void(wire::FrameType, ConstBytes)>
      message;  // a control frame's plaintext; may be any type but BLOCK and DATA
  std::function<void(const wire::Block&, flow::Slice)> block;  // a whole packed block
  std::function<void()> room;                                  // has_room() became true
  std::function<void(Error)> lost;                             // cut, silent, or damaged on the way; once, the last
  std::function<void(Error)> broke;  // the peer broke the protocol: nothing more of it arrives, but it still hears
  std::function<void()> drained;     // everything that was queued went out
  std::function<void()> closed;      // after close(): everything went out and the peer hung up; once, the last
};

class LaneSender;
class LaneReceiver;

class Lane {
 public:
  // `id` tells the lanes of an end apart; `pool` gives the buffers of the blocks that come in; `pacer` is shared
  // by the lanes of a session (its own by the settings' rate where none is given). `long_reads`: it reads a block at
  // a time, at the cost of its memory.
  Lane(Host& host, const LaneSettings& settings, std::uint64_t id, EstablishedLane established, flow::BufferPool& pool,
       LaneEvents events, std::shared_ptr<Pacer> pacer = nullptr, bool long_reads = true);
  ~Lane();
  void start();
  // Queues a control frame behind what is queued already. Only what the protocol bounds in number may be sent so.
  void send(wire::FrameType type, const wire::Message& message);
  // So fast it is: how much may wait for it goes by that.
  void set_pace(double bytes_per_s);
  // True when a block would not wait long behind others.
  bool has_room() const;
  // Queues a block; `packed` is held until it is sealed. REQUIRES: has_room().
  void send_block(const wire::Block& block, flow::Slice packed);
  // Nothing is queued or on its way into the kernel.
  bool idle() const;
  // Takes back the blocks that were not sealed yet: an ABORT need not wait behind them.
  void drop_waiting_blocks();
  bool closing() const { return closing_; }
  std::uint64_t id() const { return id_; }
  // When the last byte of the peer came.
  TimePoint heard() const { return heard_; }
  // Sends what is queued, then hangs up; incoming frames still come. Ends with `closed` or `lost`.
  void close();
  // The listener's own verdict, for reasons that a lane cannot see: ends with `lost`.
  // Of a lane that belongs to no session yet, or no more: docs at LaneReceiver's.
  void welcome_blocks(bool welcome);
  void go_deaf();
  void abandon(Error why) { lost(std::move(why)); }
  std::uint64_t sent_bytes() const;
  // Of blocks that were given to the lane: not in the kernel's hands yet.
  std::uint64_t unwritten_bytes() const;
  std::uint64_t received_bytes() const;
  // Of those that were sent: the other end's kernel has them. Where the kernel does not tell: as sent.
  std::uint64_t acked_bytes() const;
  std::optional<io::LinkFacts> link_facts() const { return stream_->link_facts(); }
  void wish(const io::LinkWishes& wishes) { stream_->wish(wishes); }
  const std::string& peer() const { return peer_; }
  seal::Cipher cipher() const { return cipher_; }
  const Principal& principal() const { return principal_; }

 private:
  void lost(Error why);
  void closed();
  void heartbeat();
  void arm_heartbeat();

  Host& host_;
  const LaneSettings& settings_;
  std::uint64_t id_;
  LaneEvents events_;
  std::unique_ptr<io::ByteStream> stream_;
  std::string peer_;
  seal::Cipher cipher_;
  Principal principal_;
  bool over_ = false;
  bool closing_ = false;
  bool peer_hung_up_ = false;
  std::unique_ptr<LaneSender> sender_;
  std::unique_ptr<LaneReceiver> receiver_;
  TimePoint heard_;
  std::uint64_t sent_at_last_beat_ = 0;
  TimePoint beat_due_{};
  io::TimerId beat_ = 0;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
