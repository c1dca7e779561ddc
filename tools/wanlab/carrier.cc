#include "carrier.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace zferry::wanlab {
namespace {

constexpr int kReadsAtATimeMax = 64;
constexpr std::int64_t kSecondNs = 1'000'000'000;

}  // namespace

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecondNs + now.tv_nsec;
}

Carrier::Carrier(std::array<Tun, 2> tuns, ControlSocket control, std::uint64_t seed)
    : tuns_(std::move(tuns)),
      control_(std::move(control)),
      seed_(seed),
      links_{Link(seed * 4, monotonic_ns()), Link(seed * 4 + 2, monotonic_ns())} {}

Carrier::End Carrier::run(int leash) {
  std::vector<pollfd> set;
  while (!told_to_end_) {
    cuts_.heal_due(monotonic_ns());
    deliver_due();
    set.assign({{tuns_[0].number(), POLLIN, 0}, {tuns_[1].number(), POLLIN, 0}, {leash, POLLIN, 0}});
    control_.add_to(set);
    const std::int64_t wait = wait_ns();
    const timespec limit{wait / kSecondNs, wait % kSecondNs};
    if (::ppoll(set.data(), set.size(), wait < 0 ? nullptr : &limit, nullptr) <= 0) continue;
    for (const Direction direction : kDirections) {
      if (set[index_of(direction)].revents != 0) take_in(direction);
    }
    constexpr short kGone = POLLERR | POLLHUP | POLLNVAL;  // somebody has deleted the device or its namespace
    if (set[2].revents != 0 || ((set[0].revents | set[1].revents) & kGone) != 0) return End::kOrphaned;
    if (std::any_of(set.begin() + 3, set.end(), [](const pollfd& entry) { return entry.revents != 0; })) {
      control_.serve([this](std::string_view line) { return command(line); });
    }
  }
  return End::kTold;
}

std::int64_t Carrier::wait_ns() const {
  std::optional<std::int64_t> next = cuts_.next_ns();
  for (const Link& link : links_) {
    const auto due = link.next_ns();
    if (due) next = std::min(next.value_or(*due), *due);
  }
  return next ? std::max<std::int64_t>(0, *next - monotonic_ns()) : -1;
}

void Carrier::take_in(Direction direction) {
  for (int reads = 0; reads < kReadsAtATimeMax; ++reads) {
    const auto raw = tuns_[index_of(direction)].read();
    if (raw.empty()) return;
    arrived(direction, Packet(std::vector<std::byte>(raw.begin(), raw.end())), monotonic_ns());
  }
}

void Carrier::arrived(Direction direction, Packet packet, std::int64_t now_ns) {
  Counts& counts = counts_[index_of(direction)];
  ++counts.reads;
  packet.offered_ns = now_ns;
  const auto tcp = packet.tcp();
  Flow* const flow = tcp ? &flows_.note(direction, *tcp, now_ns) : nullptr;
  if (flow != nullptr && flow->reset) {
    counts.dropped_reset.add(packet.segments(), packet.wire_bytes());
    if (const auto answer = answer_reset(direction, *tcp)) inject(*answer);
  } else if (cuts_.drops(direction, tcp, flow)) {
    counts.dropped_cut.add(packet.segments(), packet.wire_bytes());
  } else {
    links_[index_of(direction)].offer(std::move(packet), now_ns);
  }
}

void Carrier::deliver_due() {
  for (const Direction direction : kDirections) {
    Counts& counts = counts_[index_of(direction)];
    while (true) {
      const std::int64_t now_ns = monotonic_ns();
      const auto packet = links_[index_of(direction)].take(now_ns);
      if (!packet) break;
      ++counts.writes;
      counts.late_ns_sum += now_ns - packet->arrives_ns;
      counts.late_ns_max = std::max(counts.late_ns_max, now_ns - packet->arrives_ns);
      const auto tcp = packet->tcp();
      const Flow* const flow = tcp ? flows_.delivered(direction, *tcp) : nullptr;
      cuts_.passed(direction, *packet, tcp, flow, now_ns);
      if (!tuns_[index_of(reverse_of(direction))].write(packet->raw())) {
        counts.refused.add(packet->segments(), packet->wire_bytes());
      }
    }
  }
}

void Carrier::inject(const Injection& injection) {
  ++counts_[index_of(injection.direction)].resets_sent;
  tuns_[index_of(reverse_of(injection.direction))].write(injection.packet.raw());
}

void Carrier::drop_concerned(const Cut* cut, std::int64_t now_ns) {
  for (const Direction direction : kDirections) {
    Counts& counts = counts_[index_of(direction)];
    const auto flow_of = [&](const auto& tcp) { return tcp ? flows_.find(direction, *tcp) : nullptr; };
    Link& link = links_[index_of(direction)];
    const auto reset = link.drop_if(
        [&](const Packet& packet) {
          const Flow* const flow = flow_of(packet.tcp());
          return flow != nullptr && flow->reset;
        },
        now_ns);
    counts.dropped_reset.add(reset.packets, reset.bytes);
    if (cut == nullptr) continue;
    const auto dropped = link.drop_if(
        [&](const Packet& packet) {
          const auto tcp = packet.tcp();
          return cut->concerns(direction, tcp, flow_of(tcp));
        },
        now_ns);
    counts.dropped_cut.add(dropped.packets, dropped.bytes);
  }
}

}  // namespace zferry::wanlab
