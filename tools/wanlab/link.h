// One direction of the WAN: a drop-tail queue, a transmitter of a given rate behind it, then a wire that delays and
// loses. Time comes in as an argument (nanoseconds of any clock that only goes forward), so a test can run a second of
// it in a microsecond. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "chance.h"
#include "packet.h"

namespace zferry::wanlab {

struct LinkSettings {
  std::uint64_t rate_bits_s = 0;  // IP bits in a second; 0: no limit, and no queue
  std::int64_t delay_ns = 0;      // one way
  std::int64_t jitter_ns = 0;     // delay strays by as much, both ways; at most delay_ns
  bool reorder = false;           // whether jitter lets packets overtake each other
  double loss = 0;                // share of packets lost, each by itself
  double burst_loss = 0;          // share of packets lost in bursts
  double burst_packets = 1;       // how long a burst is on average
  std::uint64_t queue_bytes = 0;  // IP bytes that may wait; 0: no limit but kHeldBytesMax
};

/// What became of the packets, all counted at the grain of the MTU.
struct LinkCounts {
  struct Sum {
    std::uint64_t packets = 0, bytes = 0;
    void add(std::size_t count, std::size_t more_bytes) { packets += count, bytes += more_bytes; }
  };
  Sum offered, delivered;
  Sum dropped_queue, dropped_loss, dropped_burst, dropped_memory;
  std::uint64_t queue_bytes_peak = 0;
};

class Link {
 public:
  static constexpr std::uint64_t kHeldBytesMax = 512U << 20;  // waiting and on the wire together
  static constexpr std::int64_t kPieceNs = 1'000'000;         // a run that takes longer to send is sent in pieces

  Link(std::uint64_t seed, std::int64_t start_ns);

  /// Holds for what is still to be sent; what is on the wire arrives as it would have.
  void configure(const LinkSettings& settings, std::int64_t now_ns);
  const LinkSettings& settings() const { return settings_; }

  /// A packet comes in at `now_ns`. What does not fit into the queue is dropped.
  void offer(Packet packet, std::int64_t now_ns);

  /// When to ask take() again; nothing while the link is empty. May be early, never late.
  std::optional<std::int64_t> next_ns() const;

  /// The next packet that has arrived at the other end by `now_ns`.
  std::optional<Packet> take(std::int64_t now_ns);

  /// Takes away what is waiting or on the wire and is named by `condition`; how much that was.
  LinkCounts::Sum drop_if(const std::function<bool(const Packet&)>& condition, std::int64_t now_ns);

  const LinkCounts& counts() const { return counts_; }
  std::uint64_t queue_bytes() const { return queue_bytes_; }

 private:
  std::int64_t sending_ns(const Packet& packet) const;
  void enqueue(Packet packet, std::int64_t now_ns);
  void advance(std::int64_t now_ns);
  void onto_wire(Packet packet, std::int64_t at_ns);
  void fly(Packet packet, std::int64_t at_ns);

  LinkSettings settings_;
  LossModel loss_;
  Jitter jitter_;
  std::int64_t start_ns_;
  std::deque<Packet> queue_;                  // the first one is being sent
  std::int64_t head_sent_ns_ = 0;             // when the first one will have been sent
  std::uint64_t queue_bytes_ = 0;             // of the wire
  std::multimap<std::int64_t, Packet> wire_;  // by arrival
  std::int64_t last_arrival_ns_ = 0;
  std::uint64_t held_bytes_ = 0;  // of memory
  LinkCounts counts_;
};

}  // namespace zferry::wanlab
