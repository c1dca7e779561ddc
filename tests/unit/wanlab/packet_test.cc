// Runs of segments: how long they are on the wire, and what is cut out of them; resets.
#include "packet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "made_packets.h"

namespace zferry::wanlab {
namespace {

constexpr std::size_t kIp = kVnetBytes;

unsigned byte_at(const Packet& packet, std::size_t at) { return std::to_integer<unsigned>(packet.raw()[at]); }
unsigned word_at(const Packet& packet, std::size_t at) { return byte_at(packet, at) << 8 | byte_at(packet, at + 1); }

TEST(Packet, WhatIsNotARunIsOnePacket) {
  EXPECT_EQ(make_udp(500).segments(), 1u);
  EXPECT_EQ(make_udp(500).wire_bytes(), 500u);
  EXPECT_FALSE(make_udp(500).tcp());
  EXPECT_EQ(make_tcp({.payload_bytes = 1448}).segments(), 1u);
  EXPECT_EQ(make_tcp({.payload_bytes = 1448}).wire_bytes(), 1500u);
  EXPECT_EQ(make_tcp({.payload_bytes = 1448, .segment_bytes = 1448}).segments(), 1u);
}

TEST(Packet, WhatIsTooShortOrStrangeIsTakenAsItIs) {
  const Packet whole = make_tcp({.payload_bytes = 3000, .segment_bytes = 1448});
  std::size_t compared = 0;
  for (std::size_t bytes = 0; bytes < kIp + 52; ++bytes) {
    const Packet cut(std::vector<std::byte>(whole.raw().begin(), whole.raw().begin() + static_cast<long>(bytes)));
    EXPECT_EQ(cut.segments(), 1u) << bytes;
    EXPECT_FALSE(cut.tcp()) << bytes;
    EXPECT_EQ(cut.wire_bytes(), bytes < kIp ? 0 : bytes - kIp);
    ++compared;
  }
  EXPECT_EQ(compared, 62u);
  std::vector<std::byte> fragment(whole.raw().begin(), whole.raw().end());
  fragment[kIp + 7] = std::byte{5};
  EXPECT_FALSE(Packet(fragment).tcp());
  EXPECT_EQ(Packet(fragment).segments(), 1u);
  std::vector<std::byte> long_header(whole.raw().begin(), whole.raw().begin() + kIp + 56);
  long_header[kIp + 32] = std::byte{0xF0};  // says 60 bytes of TCP header, and there are fewer
  EXPECT_FALSE(Packet(long_header).tcp());
}

TEST(Packet, ARunCountsAHeaderForEachSegment) {
  const Packet run = make_tcp({.payload_bytes = 10 * 1448 + 7, .segment_bytes = 1448});
  EXPECT_EQ(run.segments(), 11u);
  EXPECT_EQ(run.wire_bytes(), 10 * 1500u + 59);
  EXPECT_EQ(run.wire_bytes(0, 1), 1500u);
  EXPECT_EQ(run.wire_bytes(10, 1), 59u);
  EXPECT_EQ(run.wire_bytes(9, 2), 1559u);
  EXPECT_EQ(make_tcp({.payload_bytes = 3000, .segment_bytes = 1428, .v6 = true}).wire_bytes(), 3000u + 3 * 72);
}

TEST(Packet, FieldsOfTcp) {
  for (const bool v6 : {false, true}) {
    const auto tcp = make_tcp({.payload_bytes = 9, .v6 = v6, .flags = kTcpAck | kTcpFin}).tcp();
    ASSERT_TRUE(tcp);
    EXPECT_EQ(tcp->from.port, 1000);
    EXPECT_EQ(tcp->to.port, 2000);
    EXPECT_EQ(tcp->from.v6, v6);
    EXPECT_EQ(tcp->from.address[v6 ? 15 : 3], 1);
    EXPECT_EQ(tcp->to.address[v6 ? 15 : 3], 2);
    EXPECT_EQ(tcp->seq, 5000u);
    EXPECT_EQ(tcp->ack, 7000u);
    EXPECT_EQ(tcp->payload_bytes, 9u);
    EXPECT_EQ(tcp->end_seq(), 5010u);  // the FIN takes one
  }
}

/// Checks the slice of `count` segments from `first` on against the run that it was cut from.
void check_slice(const Packet& run, bool v6, unsigned first, unsigned count, std::size_t payload, std::size_t segment) {
  const Packet slice = run.slice(first, count);
  const std::size_t from = first * segment;
  const std::size_t to = std::min(payload, from + count * segment);
  const std::size_t ip_bytes = v6 ? 40 : 20;
  const std::size_t headers = kIp + ip_bytes + 32;
  ASSERT_EQ(slice.raw().size(), headers + to - from);
  EXPECT_EQ(slice.segments(), count);
  EXPECT_EQ(slice.wire_bytes(), run.wire_bytes(first, count));
  EXPECT_TRUE(std::equal(slice.raw().begin() + static_cast<long>(headers), slice.raw().end(),
                         run.raw().begin() + static_cast<long>(headers + from)));
  const auto whole = run.tcp();
  const auto part = slice.tcp();
  ASSERT_TRUE(part);
  EXPECT_EQ(part->seq, whole->seq + static_cast<std::uint32_t>(from));
  EXPECT_EQ(part->ack, whole->ack);
  const bool last = first + count == run.segments();
  EXPECT_EQ((part->flags & (kTcpFin | kTcpPsh)) != 0, last);
  EXPECT_EQ((part->flags & kTcpCwr) != 0, first == 0);
  EXPECT_EQ(byte_at(slice, 0), 1u);
  EXPECT_EQ(byte_at(slice, 1) != 0, count > 1);
  const auto ip = slice.raw().subspan(kIp);
  if (v6) {
    EXPECT_EQ(word_at(slice, kIp + 4), ip.size() - 40);
  } else {
    EXPECT_EQ(word_at(slice, kIp + 2), ip.size());
    EXPECT_EQ(word_at(slice, kIp + 4), (0xFFF0 + first) & 0xFFFF);
    if (count < run.segments()) {
      EXPECT_EQ(internet_sum(ip.first(20)), 0xFFFF);
    }
  }
  if (count < run.segments()) {  // the field holds the sum over the pseudo-header, for the length that it has now
    const auto addresses = v6 ? ip.subspan(8, 32) : ip.subspan(12, 8);
    EXPECT_EQ(word_at(slice, kIp + ip_bytes + 16),
              internet_sum(addresses, 6 + static_cast<std::uint32_t>(ip.size() - ip_bytes)));
  }
}

TEST(Packet, EverySliceOfARun) {
  std::size_t compared = 0;
  for (const bool v6 : {false, true}) {
    constexpr std::size_t kPayload = 6 * 1448 + 100;
    const Packet run = make_tcp({.payload_bytes = kPayload,
                                 .segment_bytes = 1448,
                                 .v6 = v6,
                                 .seq = 0xFFFFFF00,
                                 .flags = kTcpAck | kTcpPsh | kTcpFin | kTcpCwr});
    for (unsigned first = 0; first < run.segments(); ++first) {
      for (unsigned count = 1; first + count <= run.segments(); ++count, ++compared) {
        check_slice(run, v6, first, count, kPayload, 1448);
      }
    }
  }
  EXPECT_EQ(compared, 2 * 28u);
}

TEST(Packet, SlicesOfSlices) {
  const Packet run = make_tcp({.payload_bytes = 10 * 100, .segment_bytes = 100});
  const Packet twice = run.slice(2, 7).slice(3, 2);
  const Packet once = run.slice(5, 2);
  EXPECT_TRUE(std::ranges::equal(twice.raw(), once.raw()));
}

TEST(Packet, AResetHasRightSums) {
  for (const bool v6 : {false, true}) {
    for (const std::optional<std::uint32_t> ack : {std::optional<std::uint32_t>(), std::optional<std::uint32_t>(77)}) {
      const auto of = make_tcp({.v6 = v6}).tcp();
      const Packet reset = make_reset(of->to, of->from, 0xABCDEF01, ack);
      const auto tcp = reset.tcp();
      ASSERT_TRUE(tcp);
      EXPECT_EQ(tcp->from, of->to);
      EXPECT_EQ(tcp->to, of->from);
      EXPECT_EQ(tcp->seq, 0xABCDEF01);
      EXPECT_EQ(tcp->ack, ack.value_or(0));
      EXPECT_EQ(tcp->flags, ack ? kTcpRst | kTcpAck : kTcpRst);
      EXPECT_EQ(byte_at(reset, 0), 0u);  // complete, as if it came from afar
      const auto ip = reset.raw().subspan(kIp);
      const auto addresses = v6 ? ip.subspan(8, 32) : ip.subspan(12, 8);
      EXPECT_EQ(internet_sum(ip.subspan(v6 ? 40 : 20), internet_sum(addresses, 6 + 20)), 0xFFFF);
      if (!v6) {
        EXPECT_EQ(internet_sum(ip.first(20)), 0xFFFF);
      }
    }
  }
}

}  // namespace
}  // namespace zferry::wanlab
