// One direction of the WAN in made-up time: delay, rate, queue, loss, order, and that every packet is accounted for.
#include "link.h"

#include <gtest/gtest.h>

#include <vector>

#include "made_packets.h"

namespace zferry::wanlab {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kStart = 1'000 * kMs;

struct Arrival {
  std::int64_t at_ns;
  unsigned segments;
  std::size_t wire_bytes;
  std::uint32_t seq;
};

/// What has arrived by then, each packet asked for at the moment that next_ns() names.
std::vector<Arrival> collect(Link& link, std::int64_t until_ns) {
  std::vector<Arrival> arrived;
  std::int64_t now = kStart;
  for (auto next = link.next_ns(); next && *next <= until_ns; next = link.next_ns()) {
    now = std::max(now, *next);
    const auto packet = link.take(now);
    if (!packet) continue;
    EXPECT_EQ(packet->arrives_ns, now);  // next_ns() is never late, so nothing waits for the next call
    const auto tcp = packet->tcp();
    arrived.push_back({now, packet->segments(), packet->wire_bytes(), tcp ? tcp->seq : 0});
  }
  return arrived;
}

LinkCounts::Sum all_of(const LinkCounts& counts) {
  LinkCounts::Sum sum;
  for (const auto& part :
       {counts.delivered, counts.dropped_queue, counts.dropped_loss, counts.dropped_burst, counts.dropped_memory}) {
    sum.add(part.packets, part.bytes);
  }
  return sum;
}

/// Everything that was offered has arrived or was dropped for a reason.
void check_accounts(const Link& link) {
  EXPECT_EQ(all_of(link.counts()).packets, link.counts().offered.packets);
  EXPECT_EQ(all_of(link.counts()).bytes, link.counts().offered.bytes);
  EXPECT_EQ(link.queue_bytes(), 0u);
  EXPECT_FALSE(link.next_ns());
}

TEST(Link, AWireWithoutLimitsDelaysOnly) {
  Link link(1, kStart);
  link.configure({.delay_ns = 20 * kMs}, kStart);
  EXPECT_FALSE(link.next_ns());
  for (int index = 0; index < 10; ++index) link.offer(make_udp(1500), kStart + index * kMs);
  EXPECT_FALSE(link.take(kStart + 20 * kMs - 1));
  const auto arrived = collect(link, kStart + 100 * kMs);
  ASSERT_EQ(arrived.size(), 10u);
  for (int index = 0; index < 10; ++index)
    EXPECT_EQ(arrived[static_cast<std::size_t>(index)].at_ns, kStart + (20 + index) * kMs);
  check_accounts(link);
}

TEST(Link, TheRateSpacesPackets) {
  Link link(1, kStart);
  link.configure({.rate_bits_s = 12'000'000, .delay_ns = 5 * kMs}, kStart);  // 1500 bytes take a millisecond
  for (int index = 0; index < 20; ++index) link.offer(make_udp(1500), kStart);
  const auto arrived = collect(link, kStart + 1000 * kMs);
  ASSERT_EQ(arrived.size(), 20u);
  for (int index = 0; index < 20; ++index) {
    EXPECT_EQ(arrived[static_cast<std::size_t>(index)].at_ns, kStart + (index + 1 + 5) * kMs);
  }
  link.offer(make_udp(1500), kStart + 500 * kMs);  // after a pause nothing of the past is owed
  EXPECT_EQ(collect(link, kStart + 1000 * kMs).at(0).at_ns, kStart + 506 * kMs);
  check_accounts(link);
}

TEST(Link, ARunTakesAsLongAsItsSegmentsAndArrivesInPieces) {
  Link link(1, kStart);
  link.configure({.rate_bits_s = 12'000'000}, kStart);
  link.offer(make_tcp({.payload_bytes = 8 * 1448, .segment_bytes = 1448}), kStart);
  const auto arrived = collect(link, kStart + 100 * kMs);
  ASSERT_EQ(arrived.size(), 8u);  // one at a time: each takes as long as a piece may
  for (std::size_t index = 0; index < 8; ++index) {
    EXPECT_EQ(arrived[index].at_ns, kStart + static_cast<std::int64_t>(index + 1) * kMs);
    EXPECT_EQ(arrived[index].seq, 5000 + index * 1448);
  }
  link.configure({.rate_bits_s = 1'000'000'000}, kStart + 200 * kMs);
  link.offer(make_tcp({.payload_bytes = 40 * 1448, .segment_bytes = 1448}), kStart + 200 * kMs);
  const auto whole = collect(link, kStart + 300 * kMs);
  ASSERT_EQ(whole.size(), 1u);  // 0.48 ms at a gigabit: stays a run
  EXPECT_EQ(whole[0].at_ns, kStart + 200 * kMs + 480'000);
  check_accounts(link);
}

TEST(Link, TheQueueDropsItsTail) {
  Link link(1, kStart);
  link.configure({.rate_bits_s = 12'000'000, .queue_bytes = 15'000}, kStart);
  for (int index = 0; index < 30; ++index) link.offer(make_udp(1500), kStart);
  EXPECT_EQ(link.queue_bytes(), 15'000u);
  EXPECT_EQ(link.counts().dropped_queue.packets, 20u);
  EXPECT_EQ(link.counts().dropped_queue.bytes, 30'000u);
  link.offer(make_udp(1500), kStart + kMs);  // one has been sent: there is room for one
  link.offer(make_udp(1500), kStart + kMs);
  EXPECT_EQ(link.counts().dropped_queue.packets, 21u);
  EXPECT_EQ(collect(link, kStart + 1000 * kMs).size(), 11u);
  EXPECT_EQ(link.counts().queue_bytes_peak, 15'000u);
  check_accounts(link);
}

TEST(Link, OfARunTheQueueTakesWhatFits) {
  Link link(1, kStart);
  link.configure({.rate_bits_s = 1'000'000'000, .queue_bytes = 15'999}, kStart);
  link.offer(make_tcp({.payload_bytes = 40 * 1448, .segment_bytes = 1448}), kStart);
  EXPECT_EQ(link.counts().dropped_queue.packets, 30u);
  const auto arrived = collect(link, kStart + 100 * kMs);
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ(arrived[0].segments, 10u);
  EXPECT_EQ(arrived[0].seq, 5000u);
  check_accounts(link);
}

TEST(Link, AQueueShorterThanAPacketStillSends) {
  Link link(1, kStart);
  link.configure({.rate_bits_s = 12'000'000, .queue_bytes = 100}, kStart);
  link.offer(make_udp(1500), kStart);
  link.offer(make_udp(1500), kStart);
  EXPECT_EQ(collect(link, kStart + 100 * kMs).size(), 1u);
  check_accounts(link);
}

TEST(Link, LossStrikesSegmentsNotRuns) {
  Link link(42, kStart);
  link.configure({.loss = 0.1}, kStart);
  for (std::uint32_t index = 0; index < 500; ++index) {
    link.offer(make_tcp({.payload_bytes = 40 * 100, .segment_bytes = 100, .seq = index * 4000}), kStart);
  }
  const auto arrived = collect(link, kStart);
  EXPECT_NEAR(static_cast<double>(link.counts().dropped_loss.packets), 2000, 200);
  std::uint64_t segments = 0;
  std::uint32_t end = 0;
  for (const Arrival& run : arrived) {
    EXPECT_GE(run.seq, end);  // in order, nothing twice
    end = run.seq + run.segments * 100;
    segments += run.segments;
  }
  EXPECT_EQ(segments, link.counts().delivered.packets);
  EXPECT_GT(arrived.size(), 1500u);
  check_accounts(link);
}

TEST(Link, TheSameFateForTheSameSegmentHoweverTheyAreBundled) {
  constexpr LinkSettings kLossy{.loss = 0.05, .burst_loss = 0.02, .burst_packets = 4};
  Link runs(9, kStart);
  Link singles(9, kStart);
  runs.configure(kLossy, kStart);
  singles.configure(kLossy, kStart);
  const Packet whole = make_tcp({.payload_bytes = 50 * 100, .segment_bytes = 100});
  for (int index = 0; index < 40; ++index) {
    runs.offer(whole, kStart);
    for (unsigned segment = 0; segment < 50; ++segment) singles.offer(whole.slice(segment, 1), kStart);
  }
  collect(runs, kStart);
  collect(singles, kStart);
  EXPECT_EQ(runs.counts().offered.packets, 2000u);
  EXPECT_EQ(runs.counts().dropped_loss.packets, singles.counts().dropped_loss.packets);
  EXPECT_EQ(runs.counts().dropped_burst.packets, singles.counts().dropped_burst.packets);
  EXPECT_GT(runs.counts().dropped_loss.packets, 50u);
  EXPECT_GT(runs.counts().dropped_burst.packets, 5u);
}

TEST(Link, JitterKeepsTheOrderUnlessAskedNotTo) {
  for (const bool reorder : {false, true}) {
    Link link(4, kStart);
    link.configure({.delay_ns = 10 * kMs, .jitter_ns = 8 * kMs, .reorder = reorder}, kStart);
    for (std::uint32_t index = 0; index < 2000; ++index) {
      const std::int64_t now = kStart + index * (kMs / 10);
      link.offer(make_tcp({.payload_bytes = 10, .seq = index * 10}), now);
    }
    const auto arrived = collect(link, kStart + 1000 * kMs);
    ASSERT_EQ(arrived.size(), 2000u);
    int overtaken = 0;
    for (std::size_t index = 0; index < arrived.size(); ++index) {
      const std::int64_t delay = arrived[index].at_ns - (kStart + arrived[index].seq / 10 * (kMs / 10));
      EXPECT_GE(delay, 2 * kMs);
      EXPECT_LE(delay, 18 * kMs);
      overtaken += index > 0 && arrived[index].seq < arrived[index - 1].seq;
    }
    EXPECT_EQ(overtaken > 0, reorder) << overtaken;
    check_accounts(link);
  }
}

TEST(Link, AShorterDelayDoesNotOvertakeWhatIsOnItsWay) {
  Link link(1, kStart);
  link.configure({.delay_ns = 50 * kMs}, kStart);
  link.offer(make_tcp({.seq = 1}), kStart);
  link.configure({.delay_ns = 10 * kMs}, kStart + kMs);
  link.offer(make_tcp({.seq = 2}), kStart + 2 * kMs);
  link.offer(make_tcp({.seq = 3}), kStart + 60 * kMs);
  const auto arrived = collect(link, kStart + 1000 * kMs);
  ASSERT_EQ(arrived.size(), 3u);
  EXPECT_EQ(arrived[1].seq, 2u);
  EXPECT_EQ(arrived[1].at_ns, kStart + 50 * kMs);
  EXPECT_EQ(arrived[2].at_ns, kStart + 70 * kMs);
}

TEST(Link, ANewRateHoldsForWhatWaits) {
  Link link(1, kStart);
  link.configure({.rate_bits_s = 1'200'000}, kStart);  // ten milliseconds each
  for (int index = 0; index < 11; ++index) link.offer(make_udp(1500), kStart);
  link.configure({.rate_bits_s = 12'000'000}, kStart + 10 * kMs);
  const auto arrived = collect(link, kStart + 1000 * kMs);
  ASSERT_EQ(arrived.size(), 11u);
  EXPECT_EQ(arrived[0].at_ns, kStart + 10 * kMs);
  EXPECT_EQ(arrived[10].at_ns, kStart + 20 * kMs);
  link.configure({.rate_bits_s = 1'200'000}, kStart + 50 * kMs);
  for (int index = 0; index < 5; ++index) link.offer(make_udp(1500), kStart + 50 * kMs);
  link.configure({}, kStart + 51 * kMs);  // no limit any more
  EXPECT_EQ(collect(link, kStart + 51 * kMs).size(), 5u);
  check_accounts(link);
}

TEST(Link, WhatIsCutIsGone) {
  Link link(1, kStart);
  link.configure({.rate_bits_s = 12'000'000, .delay_ns = 5 * kMs}, kStart);
  for (std::uint32_t index = 0; index < 20; ++index)
    link.offer(make_tcp({.payload_bytes = 1448, .seq = index}), kStart);
  // At 8.5 ms three have arrived or are due, five are on the wire, the rest waits.
  EXPECT_TRUE(link.take(kStart + 6 * kMs));
  const auto dropped =
      link.drop_if([](const Packet& packet) { return packet.tcp()->seq % 2 == 0; }, kStart + 8 * kMs + kMs / 2);
  EXPECT_EQ(dropped.packets, 9u);  // 2, 4, ... 18
  EXPECT_EQ(dropped.bytes, 9 * 1500u);
  const auto arrived = collect(link, kStart + 1000 * kMs);
  ASSERT_EQ(arrived.size(), 10u);
  for (std::size_t index = 0; index < arrived.size(); ++index) EXPECT_EQ(arrived[index].seq, 2 * index + 1);
  EXPECT_EQ(arrived[4].at_ns,
            kStart + 8 * kMs + kMs / 2 + 6 * kMs);  // 9: was next in line when what was being sent went
  EXPECT_FALSE(link.next_ns());
  EXPECT_EQ(link.queue_bytes(), 0u);
}

TEST(Link, MemoryIsBounded) {
  Link link(1, kStart);
  link.configure({.delay_ns = 1000 * kMs}, kStart);
  const Packet large = make_tcp({.payload_bytes = 64'000, .segment_bytes = 1448});
  const auto fits = Link::kHeldBytesMax / large.raw().size();
  // A few gigabytes of offers would be slow; the wire is filled from a packet that is copied anyway.
  for (std::uint64_t index = 0; index < fits + 10; ++index) link.offer(large, kStart);
  EXPECT_EQ(link.counts().dropped_memory.packets, 10u * large.segments());
  link.drop_if([](const Packet&) { return true; }, kStart);
  link.offer(large, kStart);
  EXPECT_EQ(collect(link, kStart + 2000 * kMs).size(), 1u);
}

}  // namespace
}  // namespace zferry::wanlab
