#include "link.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace zferry::wanlab {

Link::Link(std::uint64_t seed, std::int64_t start_ns)
    : loss_(Dice(seed).next()), jitter_(Dice(seed + 1).next()), start_ns_(start_ns) {}

void Link::configure(const LinkSettings& settings, std::int64_t now_ns) {
  advance(now_ns);
  settings_ = settings;
  loss_.configure(settings.loss, settings.burst_loss, settings.burst_packets);
  jitter_.configure(settings.jitter_ns, settings.reorder);
  if (!queue_.empty()) head_sent_ns_ = now_ns + sending_ns(queue_.front());
  advance(now_ns);
}

std::int64_t Link::sending_ns(const Packet& packet) const {
  if (settings_.rate_bits_s == 0) return 0;
  const auto bits_ns = static_cast<double>(packet.wire_bytes()) * 8e9;
  return static_cast<std::int64_t>(bits_ns / static_cast<double>(settings_.rate_bits_s) + 0.5);
}

void Link::offer(Packet packet, std::int64_t now_ns) {
  advance(now_ns);
  counts_.offered.add(packet.segments(), packet.wire_bytes());
  if (held_bytes_ + packet.raw().size() > kHeldBytesMax) {
    counts_.dropped_memory.add(packet.segments(), packet.wire_bytes());
    return;
  }
  if (settings_.rate_bits_s == 0) {
    onto_wire(std::move(packet), now_ns);
    return;
  }
  unsigned fits = packet.segments();
  if (settings_.queue_bytes != 0) {
    while (fits > 0 && queue_bytes_ + packet.wire_bytes(0, fits) > settings_.queue_bytes) --fits;
    // An idle link takes a packet that is longer than its queue: it is sent, it does not wait.
    if (fits == 0 && queue_.empty()) fits = 1;
  }
  if (fits < packet.segments()) {
    const unsigned lost = packet.segments() - fits;
    counts_.dropped_queue.add(lost, packet.wire_bytes(fits, lost));
  }
  if (fits == 0) return;
  const std::int64_t whole_ns = sending_ns(packet);
  if (fits == packet.segments() && whole_ns <= kPieceNs) {
    enqueue(std::move(packet), now_ns);
    return;
  }
  const auto piece = static_cast<unsigned>(
      std::max<std::int64_t>(1, packet.segments() * kPieceNs / std::max<std::int64_t>(whole_ns, 1)));
  for (unsigned first = 0; first < fits; first += piece) {
    enqueue(packet.slice(first, std::min(piece, fits - first)), now_ns);
  }
}

void Link::enqueue(Packet packet, std::int64_t now_ns) {
  if (queue_.empty()) head_sent_ns_ = now_ns + sending_ns(packet);
  queue_bytes_ += packet.wire_bytes();
  held_bytes_ += packet.raw().size();
  counts_.queue_bytes_peak = std::max(counts_.queue_bytes_peak, queue_bytes_);
  queue_.push_back(std::move(packet));
}

void Link::advance(std::int64_t now_ns) {
  while (!queue_.empty() && head_sent_ns_ <= now_ns) {
    Packet packet = std::move(queue_.front());
    queue_.pop_front();
    queue_bytes_ -= packet.wire_bytes();
    held_bytes_ -= packet.raw().size();
    onto_wire(std::move(packet), head_sent_ns_);
    if (!queue_.empty()) head_sent_ns_ += sending_ns(queue_.front());
  }
}

void Link::onto_wire(Packet packet, std::int64_t at_ns) {
  if (settings_.loss <= 0 && settings_.burst_loss <= 0) {
    fly(std::move(packet), at_ns);
    return;
  }
  unsigned run = 0;  // how many before `index` have passed in a row
  const unsigned count = packet.segments();
  for (unsigned index = 0; index < count; ++index) {
    const Fate fate = loss_.draw();
    if (fate == Fate::kPasses) {
      ++run;
      continue;
    }
    if (run > 0) fly(packet.slice(index - run, run), at_ns);
    run = 0;
    auto& dropped = fate == Fate::kLost ? counts_.dropped_loss : counts_.dropped_burst;
    dropped.add(1, packet.wire_bytes(index, 1));
  }
  if (run == count) {
    fly(std::move(packet), at_ns);
  } else if (run > 0) {
    fly(packet.slice(count - run, run), at_ns);
  }
}

void Link::fly(Packet packet, std::int64_t at_ns) {
  std::int64_t arrival_ns =
      at_ns +
      std::max<std::int64_t>(0, settings_.delay_ns + jitter_.draw(std::max<std::int64_t>(0, at_ns - start_ns_)));
  if (!settings_.reorder) arrival_ns = std::max(arrival_ns, last_arrival_ns_);
  last_arrival_ns_ = std::max(last_arrival_ns_, arrival_ns);
  held_bytes_ += packet.raw().size();
  packet.arrives_ns = arrival_ns;
  wire_.emplace_hint(wire_.end(), arrival_ns, std::move(packet));
}

std::optional<std::int64_t> Link::next_ns() const {
  std::optional<std::int64_t> next;
  if (!wire_.empty()) next = wire_.begin()->first;
  if (!queue_.empty()) {
    const std::int64_t earliest = head_sent_ns_ + std::max<std::int64_t>(0, settings_.delay_ns - settings_.jitter_ns);
    next = std::min(next.value_or(std::numeric_limits<std::int64_t>::max()), earliest);
  }
  return next;
}

std::optional<Packet> Link::take(std::int64_t now_ns) {
  advance(now_ns);
  if (wire_.empty() || wire_.begin()->first > now_ns) return std::nullopt;
  Packet packet = std::move(wire_.begin()->second);
  wire_.erase(wire_.begin());
  held_bytes_ -= packet.raw().size();
  counts_.delivered.add(packet.segments(), packet.wire_bytes());
  return packet;
}

LinkCounts::Sum Link::drop_if(const std::function<bool(const Packet&)>& condition, std::int64_t now_ns) {
  advance(now_ns);
  LinkCounts::Sum dropped;
  const auto gone = [&](const Packet& packet) {
    if (!condition(packet)) return false;
    dropped.add(packet.segments(), packet.wire_bytes());
    held_bytes_ -= packet.raw().size();
    return true;
  };
  std::erase_if(wire_, [&](const auto& entry) { return gone(entry.second); });
  const bool head_goes = !queue_.empty() && condition(queue_.front());
  std::erase_if(queue_, [&](const Packet& packet) {
    const bool goes = gone(packet);
    if (goes) queue_bytes_ -= packet.wire_bytes();
    return goes;
  });
  if (head_goes && !queue_.empty()) head_sent_ns_ = now_ns + sending_ns(queue_.front());
  return dropped;
}

}  // namespace zferry::wanlab
