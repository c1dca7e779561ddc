// The TCP connections that cross the WAN, by what passes: enough to reset one so that both kernels believe it. RFC 5961
// wants a reset to carry exactly the next sequence number that its receiver waits for; what a receiver has acknowledged
// last is that number, or it is about to say a higher one. Bounded: the one that was silent longest is forgotten first.
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "packet.h"

namespace zferry::wanlab {

enum class Direction : std::uint8_t { kAToB = 0, kBToA = 1 };
inline constexpr std::array kDirections{Direction::kAToB, Direction::kBToA};

constexpr std::size_t index_of(Direction direction) { return static_cast<std::size_t>(direction); }
constexpr Direction reverse_of(Direction direction) {
  return direction == Direction::kAToB ? Direction::kBToA : Direction::kAToB;
}

/// A packet that is to be put straight into the device at one end.
struct Injection {
  Direction direction;  // it travels so: kAToB comes out at b
  Packet packet;
};

struct Flow {
  /// What one end has said and got.
  struct Side {
    Endpoint endpoint;
    bool heard = false;                          // whether it has sent anything
    std::optional<std::uint32_t> acknowledged;   // what it waited for when it last spoke
    std::optional<std::uint32_t> delivered_end;  // behind the furthest byte that has reached it
    std::uint32_t syn_seq = 0;
    bool fin = false;
    std::uint64_t sent_bytes = 0;  // payload, what is sent again included
  };
  std::uint64_t number = 0;   // 1, 2, ... in the order in which they began
  std::array<Side, 2> sides;  // a, b
  bool reset = false;         // by us: nothing of it passes any more
  bool over = false;          // by themselves
  std::int64_t opened_ns = 0, last_ns = 0;
  bool live() const { return !reset && !over; }
};

class FlowTable {
 public:
  static constexpr std::size_t kFlowsMax = 16384;

  /// The connection of a packet that comes in; a SYN opens a new one. Stays valid until the next call.
  Flow& note(Direction direction, const TcpFields& tcp, std::int64_t now_ns);

  /// Nothing where it is not known (any more).
  Flow* find(Direction direction, const TcpFields& tcp);

  /// What find() gives, with note taken of a packet that comes out at the other end.
  Flow* delivered(Direction direction, const TcpFields& tcp);

  /// The live ones, oldest first.
  std::vector<Flow*> live();
  /// All that are remembered, oldest first.
  std::vector<const Flow*> all() const;

 private:
  using Key = std::pair<Endpoint, Endpoint>;  // a, b
  static Key key_of(Direction direction, const TcpFields& tcp);
  void forget_one();

  std::map<Key, Flow> flows_;
  std::set<std::pair<std::int64_t, Key>> by_silence_;
  std::uint64_t opened_ = 0;
};

/// Marks the flow as reset and makes the resets that both its ends accept.
std::vector<Injection> reset_flow(Flow& flow);

/// The answer to a packet of a flow that was reset; nothing where none is due.
std::optional<Injection> answer_reset(Direction direction, const TcpFields& tcp);

}  // namespace zferry::wanlab
