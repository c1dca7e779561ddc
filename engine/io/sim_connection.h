// SimConnection: one TCP-like connection between two hosts: two byte queues with latency, bandwidth and a bounded
// buffer, and the faults that strike them. The world owns it to its end; streams of both ends refer to it.
// Single-threaded.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/byte_stream.h"
#include "io/sim_core.h"
#include "io/sim_fault.h"
#include "io/sim_ring.h"

namespace zferry::io {

class SimConnection {
 public:
  SimConnection(SimCore& core, std::size_t number, SimLifeRef dialler, SimLifeRef listener,
                const SimLinkSettings& settings);

  // For tests.
  std::size_t number() const { return number_; }  // in the order of making, from 0
  const std::string& dialler() const { return ends_[0].life->host; }
  const std::string& listener() const { return ends_[1].life->host; }
  // Change them before bytes flow: in SimFabric::on_connection.
  SimLinkSettings& settings() { return settings_; }
  void inject(const SimFault& fault);
  void tap(SimTap tap) { tap_ = std::move(tap); }
  void reset() { strike({.action = SimFault::Action::kReset}); }
  void silence() { strike({.action = SimFault::Action::kSilence}); }
  // One end loses the connection (a middle box told only it so, or its kernel forgot) and the other never hears.
  void half_open(SimDirection survivor);
  void stall(Duration how_long) { strike({.action = SimFault::Action::kStall, .stall = how_long}); }
  void end(SimDirection direction) { strike({.action = SimFault::Action::kEnd, .direction = direction}); }
  std::uint64_t bytes_sent(SimDirection direction) const { return flow(direction).sent; }
  std::uint64_t bytes_arrived(SimDirection direction) const { return flow(direction).arrived; }
  std::uint64_t bytes_read(SimDirection direction) const { return flow(direction).taken; }
  // Both ends hold their stream and neither has seen an error.
  bool whole() const { return ends_[0].open && ends_[1].open && !ends_[0].failed && !ends_[1].failed; }

  // For the streams of the ends: 0 is the dialler's, 1 the listener's.
  void read(unsigned end, Bytes into, SizeDone done);
  void write(unsigned end, ConstBytes from, SizeDone done);
  void shutdown_write(unsigned end);
  void close(unsigned end);
  void crash(unsigned end, SimCrash how);
  // The host of an end that lost its power is back and knows nothing of this connection.
  void forget(unsigned end);
  // What this end calls the other: for stream names and errors.
  void name_peer(unsigned end, std::string name) { ends_[end].peer = std::move(name); }
  const std::string& peer(unsigned end) const { return ends_[end].peer; }
  const SimLife* owner(unsigned end) const { return ends_[end].life.get(); }

 private:
  struct Segment {
    enum class Kind : std::uint8_t { kData, kEnd, kReset } kind;
    std::uint32_t bytes;
  };
  // From end N to the other: flows_[N]. The ring holds what has arrived and, behind it, what is in flight.
  struct Flow {
    explicit Flow(std::size_t capacity) : ring(capacity) {}
    SimRing ring;
    std::deque<Segment> flight;
    std::uint64_t sent = 0;
    std::uint64_t arrived = 0;
    std::uint64_t taken = 0;
    TimePoint link_free;
    TimePoint last_arrival;
    bool end_wanted = false;       // shutdown_write() or close()
    bool ended = false;            // the receiver has the end
    bool swallows = false;         // further bytes vanish, as if taken
    std::vector<SimFault> faults;  // by bytes, earliest first; flips among them
  };
  struct End {
    SimLifeRef life;
    std::string peer{};
    bool open = true;
    bool powered_off = false;  // gone without a word
    bool failed = false;
    bool error_told = false;  // as with SO_ERROR: one operation gets it, later ones read an end
    bool timeout_armed = false;
    const char* error = "";
    Bytes into;
    SizeDone reading;
    bool read_waking = false;
    ConstBytes from;
    std::size_t written = 0;
    bool write_refused = false;  // it began after the end of this direction
    SizeDone writing;
    bool write_waking = false;
  };

  Flow& flow(SimDirection direction) { return flows_[static_cast<unsigned>(direction)]; }
  const Flow& flow(SimDirection direction) const { return flows_[static_cast<unsigned>(direction)]; }
  std::size_t readable(unsigned end) const {
    const Flow& in = flows_[1 - end];
    return static_cast<std::size_t>(in.arrived - in.taken);
  }
  Duration trip();
  void wake_read(unsigned end);
  void wake_write(unsigned end);
  void serve_read(unsigned end);
  void serve_write(unsigned end);
  void finish_read(unsigned end, Result<std::size_t> result);
  void finish_write(unsigned end, Result<std::size_t> result);
  Result<std::size_t> tell_error(End& at, const char* doing);
  void abandon(unsigned end);
  std::size_t segment_length(const Flow& out, std::size_t bytes);
  void send(unsigned end, ConstBytes bytes);
  void apply_flips(Flow& out, std::size_t bytes);
  void put_on_link(unsigned end, Segment segment);
  void land(unsigned end);
  void strike(const SimFault& fault);
  void strike_due(unsigned end);
  void fail(unsigned end, const char* error);
  void fail_after(Duration delay, unsigned end, const char* error);
  void send_reset(unsigned end);
  void arm_timeout(unsigned end);
  void check_forgotten(unsigned end);

  SimCore& core_;
  std::size_t number_;
  SimLinkSettings settings_;
  std::array<End, 2> ends_;
  std::array<Flow, 2> flows_;
  SimTap tap_;
  TimePoint stalled_until_;
  bool cut_ = false;  // a reset struck: nothing more arrives
  bool silent_ = false;
  bool forgotten_ = false;  // silent, and the kernel of one end answers with RST
};

}  // namespace zferry::io
