#include "pipeline/lane.h"

#include <algorithm>

#include "pipeline/lane_receiver.h"
#include "pipeline/lane_sender.h"

namespace zferry::pipeline {

Lane::Lane(Host& host, const LaneSettings& settings, std::uint64_t id, EstablishedLane established,
           flow::BufferPool& pool, LaneEvents events, std::shared_ptr<Pacer> pacer, bool long_reads)
    : host_(host),
      settings_(settings),
      id_(id),
      events_(std::move(events)),
      stream_(std::move(established.stream)),
      peer_(stream_->name()),
      cipher_(established.cipher),
      principal_(established.principal),
      heard_(host.loop.now()) {
  LaneSender::Events sending;
  sending.room = [this] {
    if (events_.room && !over_) events_.room();
  };
  sending.drained = [this] {
    if (!closing_) {
      if (events_.drained && !over_) events_.drained();
      return;
    }
    stream_->shutdown_write();
    if (peer_hung_up_) closed();
  };
  sending.failed = [this](Error why) { lost(std::move(why)); };
  if (!pacer) pacer = std::make_shared<Pacer>(settings.rate_bytes_per_s);
  sender_ = std::make_unique<LaneSender>(host, settings, *stream_, std::move(established.sealer), std::move(pacer),
                                         std::move(sending));

  LaneReceiver::Events receiving;
  receiving.heard = [this] { heard_ = host_.loop.now(); };
  receiving.failed = [this](Error why) { lost(std::move(why)); };
  receiving.broke = [this](Error why) {
    if (events_.broke && !over_) events_.broke(std::move(why));
  };
  receiving.arrived = [this](std::vector<Arrival> arrivals) {
    // A listener may end the lane from inside an event: nothing of it is touched from then on.
    auto deliver = lifeline_.guard([this](Arrival& arrival) {
      if (over_) return;
      if (arrival.type == wire::FrameType::kBlock) return events_.block(arrival.block, std::move(arrival.packed));
      events_.message(arrival.type, arrival.message);
    });
    for (Arrival& arrival : arrivals) deliver(arrival);
  };
  receiving.ended = [this] {
    if (!closing_) return lost({Fault::kLinkLost, peer_ + " closed the connection in mid-session", {}});
    // The peer may have said its last before it read ours.
    peer_hung_up_ = true;
    if (sender_->idle()) closed();
  };
  receiver_ = std::make_unique<LaneReceiver>(host, settings, *stream_, std::move(established.opener), pool,
                                             std::move(receiving), long_reads);
}

Lane::~Lane() { host_.loop.cancel(beat_); }

void Lane::start() {
  receiver_->start();
  arm_heartbeat();
}

void Lane::arm_heartbeat() {
  beat_due_ = host_.loop.now() + settings_.heartbeat_every;
  beat_ = host_.loop.after(settings_.heartbeat_every, lifeline_.guard([this] { heartbeat(); }));
}

void Lane::send(wire::FrameType type, const wire::Message& message) {
  if (!over_ && !closing_) sender_->send(type, message);
}

bool Lane::has_room() const { return !over_ && !closing_ && sender_->has_room(); }

void Lane::send_block(const wire::Block& block, flow::Slice packed) {
  ZF_ASSERT(has_room());
  sender_->send_block(block, std::move(packed));
}

void Lane::set_pace(double bytes_per_s) {
  constexpr double kUnsentTime = 0.03;  // s
  auto unsent = static_cast<std::size_t>(bytes_per_s * kUnsentTime);
  wish({{}, 0, std::clamp<std::size_t>(unsent, limits::kUnsentBytes / 16, limits::kUnsentBytes)});
  sender_->set_room(static_cast<std::size_t>(bytes_per_s * kUnsentTime));
}

bool Lane::idle() const { return sender_->idle(); }
void Lane::drop_waiting_blocks() { sender_->drop_waiting_blocks(); }

void Lane::close() {
  if (over_ || closing_) return;
  closing_ = true;
  if (sender_->idle()) stream_->shutdown_write();
}

std::uint64_t Lane::sent_bytes() const { return sender_->sent_bytes(); }
std::uint64_t Lane::unwritten_bytes() const { return sender_->unwritten_bytes(); }
std::uint64_t Lane::acked_bytes() const {
  auto facts = stream_->link_facts();
  return facts && facts->acked_bytes > 0 ? std::min(facts->acked_bytes, sent_bytes()) : sent_bytes();
}

void Lane::welcome_blocks(bool welcome) { receiver_->welcome_blocks(welcome); }
void Lane::go_deaf() { receiver_->go_deaf(); }
std::uint64_t Lane::received_bytes() const { return receiver_->received_bytes(); }

void Lane::closed() {
  if (over_) return;
  over_ = true;
  if (events_.closed) events_.closed();
}

void Lane::lost(Error why) {
  if (over_) return;
  over_ = true;
  if (events_.lost) events_.lost(std::move(why));
}

// A frame at least every beat says "alive"; nothing at all from the peer for long says "dead". Neither says anything of
// progress.
void Lane::heartbeat() {
  beat_ = 0;
  if (over_) return;
  TimePoint now = host_.loop.now();
  // While this end's own loop was held up nobody could be heard.
  if (Duration late = now - beat_due_; late >= settings_.heartbeat_every) heard_ = std::min(now, heard_ + late);
  if (now - heard_ >= settings_.silence_max)
    return lost({Fault::kLinkLost,
                 peer_ + " has been silent for " + std::to_string(static_cast<int>(seconds(now - heard_))) + " s",
                 {}});
  if (TimePoint since = receiver_->incomplete_since(); since != kNever && now - since >= limits::kFrameTimeMax)
    return lost({Fault::kLinkLost, "a frame from " + peer_ + " did not come to its end", {}});
  bool quiet = !closing_ && sender_->idle() && sender_->sent_bytes() == sent_at_last_beat_;
  sent_at_last_beat_ = sender_->sent_bytes() + (quiet ? wire::kFrameOverheadBytes : 0);  // a beat is no news
  if (quiet) sender_->send(wire::FrameType::kHeartbeat, {});
  arm_heartbeat();
}

}  // namespace zferry::pipeline
