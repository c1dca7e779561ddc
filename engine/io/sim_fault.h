// What a simulated link is like and what can happen to a connection over it. Plain values; tests write them down.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"

namespace zferry::io {

// A direction of a connection, named by who receives.
enum class SimDirection : std::uint8_t { kToListener = 0, kToDialler = 1 };

struct SimLinkSettings {
  Duration latency = std::chrono::microseconds(200);   // one way
  Duration jitter = std::chrono::microseconds(100);    // up to so much more, per segment; order is kept
  std::uint64_t bytes_per_second = 0;                  // per connection and direction; 0: no limit
  std::size_t buffer_bytes = std::size_t{256} * 1024;  // per direction: in flight, and arrived but not read
  std::size_t segment_bytes_max =
      std::size_t{64} * 1024;        // segments are of random length up to this, small ones among them
  double reset_discards_chance = 0;  // a reset takes what had arrived unread (Linux keeps it, others do not)
  Duration user_timeout = std::chrono::seconds(60);  // bytes unacknowledged for so long fail the connection; 0: never
};

struct SimFault {
  enum class Action : std::uint8_t {
    kReset,    // RST to both ends; what was in flight is lost
    kEnd,      // FIN in one direction, as from a broken middle box: later bytes that way vanish, the other way goes on
    kSilence,  // bytes vanish both ways for ever, nobody is told
    kStall,    // nothing arrives for `stall`, then everything does
    kFlip,     // inverts bit `bit` of the byte at offset `after_bytes`
  };
  Action action = Action::kReset;
  SimDirection direction = SimDirection::kToListener;  // whose bytes are counted, ended or flipped
  std::optional<std::uint64_t> after_bytes{};          // once exactly so many have arrived; or else
  Duration after{0};                                   // so long after inject()
  Duration stall{0};
  unsigned bit = 0;  // 0..7
};

// Faults by the seed: each new connection gets at most one, until `faults_max` are spent.
struct SimChaos {
  double chance = 0;  // per connection
  unsigned faults_max = 3;
  std::uint64_t bytes_max = std::uint64_t{256} * 1024;  // byte faults strike up to here
  Duration time_max = std::chrono::seconds(2);          // timed faults up to here
  Duration stall_max = std::chrono::seconds(5);
  bool flips = false;
};

// What a host's crash looks like from outside.
enum class SimCrash : std::uint8_t {
  kKilled,     // SIGKILL: its kernel closes the sockets (RST where bytes were unread, else FIN) and the pipes
  kReset,      // its sockets all send RST; its children see their pipes end
  kSilence,    // its sockets fall silent; its children see their pipes end
  kPowerLoss,  // the machine is gone: silence, children too, and of its folders what was not synced (the other kinds
               // keep all that was written). After restart() its kernel answers old connections with RST
};

// Sees, and may change, bytes as they leave; `offset` is that of the first one in its direction.
using SimTap = std::function<void(SimDirection, std::uint64_t offset, Bytes)>;

}  // namespace zferry::io
