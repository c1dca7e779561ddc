// The two ends' operations. Faults and the link itself are in sim_link.cc.
#include "io/sim_connection.h"

#include <algorithm>

namespace zferry::io {
namespace {

constexpr const char* kReading = "read from ";
constexpr const char* kWriting = "write to ";

}  // namespace

SimConnection::SimConnection(SimCore& core, std::size_t number, SimLifeRef dialler, SimLifeRef listener,
                             const SimLinkSettings& settings)
    : core_(core),
      number_(number),
      settings_(settings),
      flows_{Flow(settings.buffer_bytes), Flow(settings.buffer_bytes)} {
  ends_[0].life = std::move(dialler);
  ends_[1].life = std::move(listener);
}

void SimConnection::read(unsigned end, Bytes into, SizeDone done) {
  End& at = ends_[end];
  ZF_ASSERT(!into.empty() && at.open && !at.reading);
  at.into = into;
  at.reading = std::move(done);
  wake_read(end);
}

void SimConnection::write(unsigned end, ConstBytes from, SizeDone done) {
  End& at = ends_[end];
  ZF_ASSERT(at.open && !at.writing);
  at.from = from;
  at.written = 0;
  at.write_refused = flows_[end].end_wanted;
  at.writing = std::move(done);
  at.write_waking = true;
  core_.after(core_.io_delay(), at.life.get(), [this, end] { serve_write(end); });
}

void SimConnection::shutdown_write(unsigned end) {
  if (ends_[end].failed || flows_[end].end_wanted) return;
  flows_[end].end_wanted = true;
  if (!ends_[end].writing) put_on_link(end, {Segment::Kind::kEnd, 0});
}

void SimConnection::abandon(unsigned end) {
  End& at = ends_[end];
  core_.abandon_read(at.life, at.into, std::exchange(at.reading, nullptr));
  core_.abandon_write(at.life, at.from, std::exchange(at.writing, nullptr));
}

// As a kernel closes: what was written goes out and then an end, but a reset where received bytes were never read.
void SimConnection::close(unsigned end) {
  End& at = ends_[end];
  if (!at.open) return;
  at.open = false;
  core_.trace("#%zu %s closes", number_, at.life->host.c_str());
  bool was_writing = static_cast<bool>(at.writing);
  abandon(end);
  if (at.failed) return;
  if (readable(end) > 0) {
    send_reset(end);
  } else if (!flows_[end].end_wanted || was_writing) {
    flows_[end].end_wanted = true;
    put_on_link(end, {Segment::Kind::kEnd, 0});
  }
}

void SimConnection::crash(unsigned end, SimCrash how) {
  End& at = ends_[end];
  if (!at.open) return;
  core_.bury(std::exchange(at.reading, nullptr));
  core_.bury(std::exchange(at.writing, nullptr));
  switch (how) {
    case SimCrash::kKilled: close(end); break;
    case SimCrash::kReset:
      at.open = false;
      send_reset(end);
      break;
    case SimCrash::kSilence:
    case SimCrash::kPowerLoss:
      at.open = false;
      at.powered_off = how == SimCrash::kPowerLoss;
      silence();
      break;
  }
}

void SimConnection::wake_read(unsigned end) {
  End& at = ends_[end];
  if (!at.reading || at.read_waking) return;
  const Flow& in = flows_[1 - end];
  if (readable(end) == 0 && !in.ended && !at.failed) return;
  at.read_waking = true;
  core_.after(core_.io_delay(), at.life.get(), [this, end] { serve_read(end); });
}

// A writer that waits for room is woken when a quarter is free, so that small reads do not make small segments for
// ever.
void SimConnection::wake_write(unsigned end) {
  End& at = ends_[end];
  const SimRing& ring = flows_[end].ring;
  if (!at.writing || at.write_waking) return;
  if (!at.failed && ring.room() * 4 < ring.capacity()) return;
  at.write_waking = true;
  core_.after(core_.io_delay(), at.life.get(), [this, end] { serve_write(end); });
}

void SimConnection::serve_read(unsigned end) {
  End& at = ends_[end];
  at.read_waking = false;
  if (!at.reading) return;
  Flow& in = flows_[1 - end];
  if (std::size_t there = std::min(readable(end), at.into.size()); there > 0) {
    // Mostly all that is there, sometimes a part of it.
    std::size_t count = core_.random().below(4) == 0 ? 1 + core_.random().below(there) : there;
    in.ring.get(at.into.first(count));
    in.taken += count;
    wake_write(1 - end);
    finish_read(end, count);
  } else if (in.ended) {
    finish_read(end, std::size_t{0});
  } else if (at.failed) {
    finish_read(end, at.error_told ? Result<std::size_t>(std::size_t{0}) : tell_error(at, kReading));
  }
}

void SimConnection::serve_write(unsigned end) {
  End& at = ends_[end];
  at.write_waking = false;
  if (!at.writing) return;
  Flow& out = flows_[end];
  if (at.failed) return finish_write(end, tell_error(at, kWriting));
  if (at.write_refused) {
    return finish_write(end, Error{Fault::kLinkLost, kWriting + at.peer + ": Broken pipe", ""});
  }
  out.ring.set_capacity(settings_.buffer_bytes);
  while (at.written < at.from.size() && out.ring.room() > 0) {
    ConstBytes rest = at.from.subspan(at.written);
    std::size_t count = segment_length(out, std::min(rest.size(), out.ring.room()));
    send(end, rest.first(count));
    at.written += count;
  }
  if (at.written < at.from.size()) return;  // woken when the other end has read
  if (out.end_wanted) put_on_link(end, {Segment::Kind::kEnd, 0});
  finish_write(end, at.from.size());
}

void SimConnection::finish_read(unsigned end, Result<std::size_t> result) {
  End& at = ends_[end];
  core_.trace("#%zu %s reads %zd", number_, at.life->host.c_str(), result.ok() ? static_cast<ssize_t>(*result) : -1);
  SizeDone done = std::exchange(at.reading, nullptr);
  if (done) done(std::move(result));
}

void SimConnection::finish_write(unsigned end, Result<std::size_t> result) {
  End& at = ends_[end];
  core_.trace("#%zu %s wrote %zd", number_, at.life->host.c_str(), result.ok() ? static_cast<ssize_t>(*result) : -1);
  SizeDone done = std::exchange(at.writing, nullptr);
  if (done) done(std::move(result));
}

Result<std::size_t> SimConnection::tell_error(End& at, const char* doing) {
  const char* what = at.error_told ? "Broken pipe" : at.error;
  at.error_told = true;
  return Error{Fault::kLinkLost, doing + at.peer + ": " + what, ""};
}

}  // namespace zferry::io
