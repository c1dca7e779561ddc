// A lane in the test's own hands: it says what the test wants, in the form of the protocol or nearly, and keeps what it
// hears. For peers that lie. One thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "pipeline/lane.h"
#include "pipeline/meeting.h"
#include "unit/pipeline/machine.h"

namespace zferry::pipeline::testing {

using MakeJoin = std::function<wire::Join(const Transcript&)>;

class HandLane {
 public:
  HandLane(Host& host, const LaneSettings& settings, EstablishedLane established)
      : transcript(established.transcript), join(established.join) {
    LaneEvents events;
    events.message = [this](wire::FrameType type, ConstBytes bytes) {
      heard.push_back({type, {bytes.begin(), bytes.end()}});
    };
    events.block = [this](const wire::Block& header, const flow::Slice& packed) {
      blocks.push_back({header, {packed.bytes.begin(), packed.bytes.end()}});
    };
    events.lost = [this](Error why) { lost = std::move(why); };
    events.broke = [this](Error why) { broke = std::move(why); };
    events.closed = [this] { closed = true; };
    lane_ = std::make_unique<Lane>(host, settings, 99, std::move(established), pool_, std::move(events));
    lane_->start();
  }
  void say(wire::FrameType type, const wire::Message& message = {}) { lane_->send(type, message); }
  void send_block(const wire::Block& header, ConstBytes packed) {
    auto bytes = std::make_shared<std::vector<std::byte>>(packed.begin(), packed.end());
    flow::Buffer buffer = sending_.take();
    ASSERT_TRUE(buffer && packed.size() <= buffer->size());
    std::copy(packed.begin(), packed.end(), buffer->begin());
    lane_->send_block(header, {buffer, ConstBytes(*buffer).first(packed.size())});
  }
  bool has_room() const { return lane_->has_room(); }
  void close() { lane_->close(); }
  bool over() const { return lost.has_value() || closed; }

  // The latest message of a type.
  std::optional<wire::Message> last(wire::FrameType type) const {
    for (auto entry = heard.rbegin(); entry != heard.rend(); ++entry)
      if (entry->first == type) return entry->second;
    return {};
  }
  std::size_t count(wire::FrameType type) const {
    std::size_t found = 0;
    for (const auto& entry : heard) found += entry.first == type;
    return found;
  }
  // The fault of the ABORT that came; kNone: none.
  Fault aborted() const {
    auto abort = last(wire::FrameType::kAbort);
    return abort ? wire::decode_abort(*abort).value().fault : Fault::kNone;
  }

  Transcript transcript;
  wire::Join join;
  std::vector<std::pair<wire::FrameType, wire::Message>> heard;
  std::vector<std::pair<wire::Block, std::vector<std::byte>>> blocks;
  std::optional<Error> lost, broke;
  bool closed = false;

 private:
  flow::BufferPool pool_{200, limits::kBufferBytes};
  flow::BufferPool sending_{200, limits::kBufferBytes};
  std::unique_ptr<Lane> lane_;
};

// Dials as `role`, with the JOIN that the test makes; nothing where it is not met.
inline std::optional<EstablishedLane> shake_hands(io::SimWorld& world, Machine& from, const MeetingSettings& meeting,
                                                  const LaneSettings& settings, wire::Role role,
                                                  const MakeJoin& make_join = {}, Fault* refused = nullptr) {
  Dialler dialler(from.host, meeting.credentials, settings, role, make_join != nullptr);
  EstablishedLane lane;
  bool ended = false;
  from.host.network.connect(meeting.endpoint, seconds(5), [&](auto stream) {
    ended = !stream.ok();
    if (stream) lane.stream = std::move(*stream);
  });
  if (!world.run_until([&] { return ended || lane.stream; }, seconds(10)) || ended) return {};
  auto first = dialler.first_message();
  bool written = false;
  lane.stream->write(first, [&](auto) { written = true; });
  world.run_until([&] { return written; }, seconds(10));
  std::vector<std::byte> answer(limits::kFirstMessageBytes);
  std::size_t filled = 0;
  std::function<void()> read = [&] {
    lane.stream->read(Bytes(answer).subspan(filled), [&](Result<std::size_t> count) {
      ended = !count || *count == 0;
      if (ended) return;
      filled += *count;
      if (filled < answer.size()) read();
    });
  };
  read();
  world.run_until([&] { return ended || filled == answer.size(); }, seconds(10));
  if (ended) return {};
  if (Status good = dialler.read_answer(answer, lane); !good) {
    if (refused != nullptr) *refused = good.error().fault;
    return {};
  }
  if (make_join) lane.join = make_join(lane.transcript);
  auto proof = seal_proof(lane);
  written = false;
  lane.stream->write(proof, [&](auto) { written = true; });
  world.run_until([&] { return written; }, seconds(10));
  return lane;
}

inline std::unique_ptr<HandLane> dial_by_hand(io::SimWorld& world, Machine& from, const MeetingSettings& meeting,
                                              const LaneSettings& settings, wire::Role role,
                                              const MakeJoin& make_join = {}, Fault* refused = nullptr) {
  auto lane = shake_hands(world, from, meeting, settings, role, make_join, refused);
  if (!lane) return nullptr;
  return std::make_unique<HandLane>(from.host, settings, std::move(*lane));
}

// An established lane whose owner reads nothing and beats for ever: it never hangs up.
class StubbornLane {
 public:
  StubbornLane(Host& host, EstablishedLane established) : host_(host), lane_(std::move(established)) { beat(); }
  bool refused = false;  // a write failed

 private:
  void beat() {
    auto frame = std::make_shared<std::vector<std::byte>>(wire::kFrameOverheadBytes);
    auto header = wire::encode_frame_header(wire::FrameType::kHeartbeat, 0);
    std::copy(header.begin(), header.end(), frame->begin());
    lane_.sealer->seal(header, {}, Bytes(*frame).subspan(wire::kFrameHeaderBytes));
    lane_.stream->write(*frame, lifeline_.guard([this, frame](Result<std::size_t> sent) {
      refused = !sent.ok();
      if (!refused) host_.loop.after(milliseconds(500), lifeline_.guard([this] { beat(); }));
    }));
  }
  Host& host_;
  EstablishedLane lane_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline::testing
