// SimConnection's link: segments on their way, and what strikes them. The ends' operations are in sim_connection.cc.
#include <algorithm>

#include "io/sim_connection.h"

namespace zferry::io {
namespace {

constexpr const char* kResetText = "Connection reset by peer";
constexpr const char* kTimeoutText = "Connection timed out";

const char* text(SimFault::Action action) {
  switch (action) {
    case SimFault::Action::kReset: return "reset";
    case SimFault::Action::kEnd: return "end";
    case SimFault::Action::kSilence: return "silence";
    case SimFault::Action::kStall: return "stall";
    case SimFault::Action::kFlip: return "flip";
  }
  return "";
}

}  // namespace

Duration SimConnection::trip() { return settings_.latency + core_.random_below(settings_.jitter); }

// A random length, tiny ones among them, that does not step over the next byte fault.
std::size_t SimConnection::segment_length(const Flow& out, std::size_t bytes) {
  std::uint64_t kind = core_.random().below(8);
  std::size_t length_max = kind == 0 ? 16 : kind < 3 ? 1460 : settings_.segment_bytes_max;
  std::size_t length = kind < 6 ? 1 + core_.random().below(length_max) : length_max;
  length = std::min(length, bytes);
  for (const SimFault& fault : out.faults) {
    if (fault.action == SimFault::Action::kFlip || *fault.after_bytes <= out.sent) continue;
    return static_cast<std::size_t>(std::min<std::uint64_t>(length, *fault.after_bytes - out.sent));
  }
  return length;
}

void SimConnection::send(unsigned end, ConstBytes bytes) {
  Flow& out = flows_[end];
  if (out.swallows) {
    out.sent += bytes.size();
    return;
  }
  out.ring.put(bytes);
  apply_flips(out, bytes.size());
  if (tap_) {
    std::uint64_t offset = out.sent;
    out.ring.visit_newest(bytes.size(), [&](Bytes piece) {
      tap_(static_cast<SimDirection>(end), offset, piece);
      offset += piece.size();
    });
  }
  out.sent += bytes.size();
  put_on_link(end, {Segment::Kind::kData, static_cast<std::uint32_t>(bytes.size())});
}

void SimConnection::apply_flips(Flow& out, std::size_t bytes) {
  for (const SimFault& fault : out.faults) {
    if (fault.action != SimFault::Action::kFlip || *fault.after_bytes < out.sent) continue;
    std::uint64_t offset = *fault.after_bytes - out.sent;
    if (offset >= bytes) continue;
    core_.trace("#%zu flip of bit %u at %llu", number_, fault.bit, static_cast<unsigned long long>(*fault.after_bytes));
    std::uint64_t at = 0;
    out.ring.visit_newest(bytes, [&](Bytes piece) {
      if (offset >= at && offset - at < piece.size()) piece[offset - at] ^= std::byte{1} << fault.bit;
      at += piece.size();
    });
  }
}

void SimConnection::put_on_link(unsigned end, Segment segment) {
  Flow& out = flows_[end];
  if (silent_) {
    arm_timeout(end);
    if (forgotten_) check_forgotten(end);
    return;
  }
  TimePoint leaves = std::max(out.link_free, core_.now());
  if (settings_.bytes_per_second != 0) {
    leaves =
        leaves + Duration(static_cast<std::int64_t>(segment.bytes * 1'000'000'000ull / settings_.bytes_per_second));
  }
  out.link_free = leaves;
  out.last_arrival = std::max(out.last_arrival, leaves + trip());
  out.flight.push_back(segment);
  core_.at(out.last_arrival, nullptr, [this, end] { land(end); });
}

// The oldest segment in flight from `end` reaches the other end.
void SimConnection::land(unsigned end) {
  Flow& in = flows_[end];
  unsigned to = 1 - end;
  if (cut_ || silent_ || in.flight.empty()) return;
  if (core_.now() < stalled_until_) {
    core_.at(stalled_until_, nullptr, [this, end] { land(end); });
    return;
  }
  Segment segment = in.flight.front();
  in.flight.pop_front();
  switch (segment.kind) {
    case Segment::Kind::kData:
      if (in.swallows) break;
      core_.trace("#%zu %u bytes reach %s", number_, segment.bytes, ends_[to].life->host.c_str());
      in.arrived += segment.bytes;
      if (!ends_[to].open) {
        in.ring.clear();
        in.taken = in.arrived;
        in.swallows = true;
        fail_after(trip(), end, kResetText);
        break;
      }
      wake_read(to);
      strike_due(end);
      break;
    case Segment::Kind::kEnd:
      core_.trace("#%zu the end reaches %s", number_, ends_[to].life->host.c_str());
      in.ended = true;
      wake_read(to);
      break;
    case Segment::Kind::kReset: fail(to, kResetText); break;
  }
}

void SimConnection::inject(const SimFault& fault) {
  if (!fault.after_bytes) {
    core_.after(fault.after, nullptr, [this, fault] { strike(fault); });
    return;
  }
  Flow& out = flow(fault.direction);
  auto place = std::find_if(out.faults.begin(), out.faults.end(),
                            [&](const SimFault& other) { return *other.after_bytes > *fault.after_bytes; });
  out.faults.insert(place, fault);
  unsigned end = static_cast<unsigned>(fault.direction);
  core_.after(Duration(0), nullptr, [this, end] { strike_due(end); });
}

// Faults whose byte count has been reached. Flips are not struck: they wait for their byte to be sent.
void SimConnection::strike_due(unsigned end) {
  Flow& in = flows_[end];
  for (std::size_t index = 0; index < in.faults.size();) {
    if (in.faults[index].action == SimFault::Action::kFlip || *in.faults[index].after_bytes > in.arrived) {
      ++index;
      continue;
    }
    SimFault fault = in.faults[index];
    in.faults.erase(in.faults.begin() + static_cast<std::ptrdiff_t>(index));
    strike(fault);
  }
}

void SimConnection::strike(const SimFault& fault) {
  if (cut_) return;
  core_.trace("#%zu %s-%s: %s", number_, dialler().c_str(), listener().c_str(), text(fault.action));
  switch (fault.action) {
    case SimFault::Action::kReset:
      cut_ = true;
      fail_after(core_.random_below(settings_.latency), 0, kResetText);
      fail_after(core_.random_below(settings_.latency), 1, kResetText);
      break;
    case SimFault::Action::kEnd: {
      unsigned end = static_cast<unsigned>(fault.direction);
      Flow& in = flows_[end];
      if (!in.swallows) in.ring.drop_newest(static_cast<std::size_t>(in.sent - in.arrived));
      in.swallows = true;
      in.ended = true;
      wake_read(1 - end);
      wake_write(end);
      break;
    }
    case SimFault::Action::kSilence:
      silent_ = true;
      arm_timeout(0);
      arm_timeout(1);
      break;
    case SimFault::Action::kStall: stalled_until_ = std::max(stalled_until_, core_.now() + fault.stall); break;
    case SimFault::Action::kFlip: break;
  }
}

void SimConnection::half_open(SimDirection survivor) {
  silence();
  // kToListener names the one whose end is end 1.
  fail(survivor == SimDirection::kToListener ? 0 : 1, kResetText);
}

void SimConnection::fail(unsigned end, const char* error) {
  End& at = ends_[end];
  if (at.failed || !at.open) return;
  core_.trace("#%zu %s: %s", number_, at.life->host.c_str(), error);
  at.failed = true;
  at.error = error;
  Flow& in = flows_[1 - end];
  if (settings_.reset_discards_chance > 0 && core_.random().chance(settings_.reset_discards_chance)) {
    in.ring.clear();
    in.taken = in.arrived;
    in.swallows = true;
  }
  wake_read(end);
  wake_write(end);
}

void SimConnection::fail_after(Duration delay, unsigned end, const char* error) {
  core_.after(delay, nullptr, [this, end, error] { fail(end, error); });
}

void SimConnection::send_reset(unsigned end) { put_on_link(end, {Segment::Kind::kReset, 0}); }

// TCP_USER_TIMEOUT: only an end whose bytes stay unacknowledged notices silence.
void SimConnection::arm_timeout(unsigned end) {
  End& at = ends_[end];
  const Flow& out = flows_[end];
  if (settings_.user_timeout.count() == 0 || at.timeout_armed || !at.open || out.sent == out.arrived) return;
  at.timeout_armed = true;
  fail_after(settings_.user_timeout, end, kTimeoutText);
}

void SimConnection::forget(unsigned end) {
  if (!silent_ || !ends_[end].powered_off) return;
  forgotten_ = true;
  check_forgotten(1 - end);
}

// Retransmitted or new bytes meet a kernel that has no such connection.
void SimConnection::check_forgotten(unsigned end) {
  const Flow& out = flows_[end];
  if (out.sent != out.arrived || out.end_wanted) fail_after(trip() + trip(), end, kResetText);
}

}  // namespace zferry::io
