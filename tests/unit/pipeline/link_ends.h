// Two Links on simulated hosts, with as much of a session above them as makes lanes join: OPEN, OPENED, and a word on
// each lane. Either may listen. One thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/link.h"
#include "unit/pipeline/machine.h"

namespace zferry::pipeline::testing {

// Counts what is dialled.
class CountingNetwork final : public io::Network {
 public:
  explicit CountingNetwork(io::Network& real) : real_(real) {}
  void connect(const io::Endpoint& to, Duration patience, io::StreamDone done) override {
    ++dials;
    most_at_once = std::max(most_at_once, ++at_once_);
    real_.connect(to, patience, [this, done = std::move(done)](auto stream) {
      --at_once_;
      done(std::move(stream));
    });
  }
  Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint& at) override { return real_.listen(at); }
  int dials = 0;
  int most_at_once = 0;

 private:
  io::Network& real_;
  int at_once_ = 0;
};

// One end: its Link, and what that told.
struct LinkEnd {
  Machine& machine;
  wire::Role role;
  CountingNetwork network{machine.host.network};
  Host host{machine.host.loop,    network,      machine.host.processes, machine.host.files,
            machine.host.workers, machine.disk, machine.random,         machine.host.dh};
  MeetingSettings meeting{};
  LaneSettings lane = lane_settings();
  Notices notices{};
  flow::BufferPool pool{64, limits::kBlockBytesMax};
  Duration patience = hours(1);
  std::size_t lanes = 1;                                              // as the target says
  std::uint64_t incarnation = 7;                                      // of the source's run
  seal::SecretBytes key = seal::SecretBytes::random(machine.random);  // the target's
  bool speaks = true;                                                 // a target: on lanes that joined

  int fresh = 0, joined = 0, lane_lost = 0, down = 0, closed = 0, visitors_left = 0, blocks = 0;
  std::optional<Error> lost, broke;
  std::vector<std::pair<wire::FrameType, std::vector<std::byte>>> messages;
  std::unique_ptr<Link> link;

  LinkEnd(Machine& on, wire::Role as) : machine(on), role(as) {
    lane.block_bytes = 4096;  // sixteen lanes of a mebibyte are slow to make
  }
  void start() {
    link = std::make_unique<Link>(host, meeting, lane, role, pool, notices, events());
    link->set_patience(patience);
    link->start();
  }
  bool source() const { return role == wire::Role::kSource; }
  std::size_t alive() const { return link->carriers().size(); }
  std::size_t count(wire::FrameType type) const {
    std::size_t found = 0;
    for (const auto& entry : messages) found += entry.first == type;
    return found;
  }

 private:
  Link::Events events() {
    Link::Events to;
    to.fresh = [this](Lane& up) {
      ++fresh;
      if (!source()) return;
      wire::Open open;
      open.incarnation = incarnation;
      open.block_bytes_max = 4096;
      up.send(wire::FrameType::kOpen, wire::encode(open));
    };
    to.joined = [this](Lane& up) {
      ++joined;
      if (!source() && speaks) up.send(wire::FrameType::kAck, wire::encode(wire::Ack{}));
    };
    to.lane_lost = [this](Lane&) { ++lane_lost; };
    to.leaves = [](Lane&) {};
    to.down = [this](const Error&) { ++down; };
    to.lost = [this](Error why) {
      EXPECT_FALSE(lost) << "twice";
      lost = std::move(why);
    };
    to.message = [this](Lane& on, wire::FrameType type, ConstBytes bytes) { got(on.id(), type, bytes); };
    to.block = [this](Lane&, const wire::Block&, const flow::Slice&) { ++blocks; };
    to.room = [] {};
    to.drained = [] {};
    to.broke = [this](Lane&, Error why) { broke = std::move(why); };
    to.visitor_left = [this](const std::string&) { ++visitors_left; };
    to.closed = [this] { ++closed; };
    return to;
  }
  void got(std::uint64_t id, wire::FrameType type, ConstBytes bytes) {
    messages.push_back({type, {bytes.begin(), bytes.end()}});
    bool opens = !source() && type == wire::FrameType::kOpen;
    bool opened = source() && type == wire::FrameType::kOpened;
    if (!opens && !opened) return;
    // At its turn, as a session does: the lane may be gone by then.
    machine.host.loop.post([this, id, opens, message = messages.back().second] {
      Lane* on = link ? link->lane(id) : nullptr;
      if (on == nullptr) return;
      if (opens) {
        link->adopt(*on, key, wire::decode_open(message).value().incarnation);
        link->allow_lanes(lanes);
        link->set_lanes(lanes);
        wire::Opened answer;
        std::copy(key.bytes().begin(), key.bytes().end(), answer.leaf_key.begin());
        answer.lanes = static_cast<std::uint8_t>(lanes);
        return on->send(wire::FrameType::kOpened, wire::encode(answer));
      }
      wire::Opened answer = wire::decode_opened(message).value();
      link->adopt(*on, seal::SecretBytes(answer.leaf_key), incarnation);
      link->set_lanes(answer.lanes);
    });
  }
};

// Both, that know each other, and a third host for strangers. Param: whether the source listens.
class Links : public ::testing::TestWithParam<bool> {
 protected:
  Links() {
    Pairing pair = pair_by_keys(dialler().machine.random);
    dialler().meeting.endpoint = {listener_name(), "9443"};
    dialler().meeting.credentials = std::move(pair.dialler);
    listener().meeting.listen = true;
    listener().meeting.endpoint = {"", "9443"};
    listener().meeting.credentials = std::move(pair.listener);
  }
  LinkEnd& dialler() { return GetParam() ? target : source; }
  LinkEnd& listener() { return GetParam() ? source : target; }
  std::string listener_name() const { return GetParam() ? "source" : "target"; }
  void start() {
    listener().start();
    dialler().start();
  }
  bool up(std::size_t lanes, Duration within = seconds(5)) {
    return world.run_until([&] { return source.alive() == lanes && target.alive() == lanes; }, within);
  }
  void meet(std::size_t lanes) {
    target.lanes = lanes;
    start();
    ASSERT_TRUE(up(lanes));
    world.run_for(milliseconds(100));
    ASSERT_EQ(world.network().connection_count(), lanes);
  }
  void part() { world.network().part("source", "target"); }
  void heal() { world.network().heal("source", "target"); }
  void cut_all() {
    for (std::size_t i = 0; i < world.network().connection_count(); ++i) world.network().connection(i).reset();
  }
  double seconds_since(TimePoint begin) const { return zferry::seconds(world.now() - begin); }

  io::SimWorld world{GetParam() ? 70u : 71u};
  Machine source_machine{world.add_host("source"), 1};
  Machine target_machine{world.add_host("target"), 2};
  Machine stranger{world.add_host("stranger"), 3};
  LinkEnd source{source_machine, wire::Role::kSource};
  LinkEnd target{target_machine, wire::Role::kTarget};
};

}  // namespace zferry::pipeline::testing
