// Connections by what passes, and the resets that their ends believe.
#include "flows.h"

#include <gtest/gtest.h>

#include "made_packets.h"

namespace zferry::wanlab {
namespace {

TcpFields said(const MadeTcp& shape) { return *make_tcp(shape).tcp(); }

TcpFields by_a(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::size_t payload = 0,
               std::uint16_t port = 1000) {
  return said({.payload_bytes = payload, .from_port = port, .seq = seq, .ack = ack, .flags = flags});
}
TcpFields by_b(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::size_t payload = 0,
               std::uint16_t port = 1000) {
  return said({.payload_bytes = payload,
               .from_port = 2000,
               .to_port = port,
               .from_b = true,
               .seq = seq,
               .ack = ack,
               .flags = flags});
}

/// A connection that is open: a has sent up to 150, b up to 900, all of it has arrived.
Flow& open_flow(FlowTable& table, std::uint16_t port = 1000) {
  std::int64_t now = 0;
  const auto pass = [&](Direction direction, const TcpFields& tcp) {
    table.note(direction, tcp, ++now);
    table.delivered(direction, tcp);
  };
  pass(Direction::kAToB, by_a(kTcpSyn, 99, 0, 0, port));
  pass(Direction::kBToA, by_b(kTcpSyn | kTcpAck, 799, 100, 0, port));
  pass(Direction::kAToB, by_a(kTcpAck, 100, 800, 50, port));
  pass(Direction::kBToA, by_b(kTcpAck, 800, 150, 100, port));
  pass(Direction::kAToB, by_a(kTcpAck, 150, 900, 0, port));
  return *table.live().back();
}

/// The sequence numbers of the resets that go to that side.
std::vector<std::uint32_t> resets_to(const std::vector<Injection>& made, Direction direction) {
  std::vector<std::uint32_t> found;
  for (const Injection& injection : made) {
    if (injection.direction == direction) found.push_back(injection.packet.tcp()->seq);
  }
  return found;
}

TEST(Flows, OneConnectionBothWays) {
  FlowTable table;
  const Flow& flow = open_flow(table);
  EXPECT_EQ(table.all().size(), 1u);
  EXPECT_EQ(flow.number, 1u);
  EXPECT_EQ(flow.sides[0].endpoint.port, 1000);
  EXPECT_EQ(flow.sides[1].endpoint.port, 2000);
  EXPECT_EQ(flow.sides[0].sent_bytes, 50u);
  EXPECT_EQ(flow.sides[1].sent_bytes, 100u);
  EXPECT_EQ(flow.sides[0].acknowledged, 900u);
  EXPECT_EQ(flow.sides[1].acknowledged, 150u);
}

TEST(Flows, AResetCarriesWhatItsReceiverWaitsFor) {
  FlowTable table;
  Flow& flow = open_flow(table);
  const auto made = reset_flow(flow);
  EXPECT_EQ(resets_to(made, Direction::kAToB), std::vector<std::uint32_t>{150});
  EXPECT_EQ(resets_to(made, Direction::kBToA), std::vector<std::uint32_t>{900});
  for (const Injection& injection : made) {
    const auto tcp = injection.packet.tcp();
    EXPECT_EQ(tcp->flags, kTcpRst);
    EXPECT_EQ(tcp->from.port, injection.direction == Direction::kAToB ? 1000 : 2000);
  }
  EXPECT_FALSE(flow.live());
  EXPECT_TRUE(table.live().empty());
}

TEST(Flows, WhatHasArrivedUnacknowledgedIsTriedToo) {
  FlowTable table;
  open_flow(table);
  const auto more = by_a(kTcpAck, 150, 900, 1000);
  table.note(Direction::kAToB, more, 10);
  const auto before = reset_flow(*FlowTable(table).live()[0]);
  EXPECT_EQ(resets_to(before, Direction::kAToB), std::vector<std::uint32_t>{150});  // it is on its way only
  table.delivered(Direction::kAToB, more);
  const auto after = reset_flow(*table.live()[0]);
  EXPECT_EQ(resets_to(after, Direction::kAToB), (std::vector<std::uint32_t>{150, 1150}));
  EXPECT_EQ(resets_to(after, Direction::kBToA), std::vector<std::uint32_t>{900});
}

TEST(Flows, NumbersWrapAround) {
  FlowTable table;
  table.note(Direction::kAToB, by_a(kTcpSyn, 0xFFFFFFF0, 0), 1);
  table.note(Direction::kBToA, by_b(kTcpSyn | kTcpAck, 5, 0xFFFFFFF1), 2);
  table.note(Direction::kBToA, by_b(kTcpAck, 6, 0x10), 3);
  table.note(Direction::kBToA, by_b(kTcpAck, 6, 0xFFFFFFF8), 4);  // an older one, overtaken
  EXPECT_EQ(table.live()[0]->sides[1].acknowledged, 0x10u);
}

TEST(Flows, AnOpeningConnectionIsRefused) {
  FlowTable table;
  table.note(Direction::kAToB, by_a(kTcpSyn, 99, 0), 1);
  const auto made = reset_flow(*table.live()[0]);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].direction, Direction::kBToA);
  EXPECT_EQ(made[0].packet.tcp()->flags, kTcpRst | kTcpAck);
  EXPECT_EQ(made[0].packet.tcp()->ack, 100u);
}

TEST(Flows, WhoStillTalksIsAnsweredWithWhatHeAcknowledged) {
  const auto answer = answer_reset(Direction::kAToB, by_a(kTcpAck, 150, 912, 30));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->direction, Direction::kBToA);
  EXPECT_EQ(answer->packet.tcp()->seq, 912u);
  EXPECT_EQ(answer->packet.tcp()->to.port, 1000);
  EXPECT_FALSE(answer_reset(Direction::kAToB, by_a(kTcpRst | kTcpAck, 150, 912)));
  EXPECT_FALSE(answer_reset(Direction::kAToB, by_a(kTcpSyn, 150, 0)));
}

TEST(Flows, EndWithFinsOrAReset) {
  FlowTable table;
  open_flow(table);
  table.delivered(Direction::kAToB, by_a(kTcpAck | kTcpFin, 150, 900));
  EXPECT_EQ(table.live().size(), 1u);
  table.delivered(Direction::kBToA, by_b(kTcpAck | kTcpFin, 900, 151));
  EXPECT_TRUE(table.live().empty());
  open_flow(table, 1001);
  EXPECT_EQ(table.live().size(), 1u);
  table.delivered(Direction::kBToA, by_b(kTcpRst, 900, 0, 0, 1001));
  EXPECT_TRUE(table.live().empty());
  EXPECT_EQ(table.all().size(), 2u);
}

TEST(Flows, TheSamePortsAgainAreAnotherConnection) {
  FlowTable table;
  reset_flow(open_flow(table));
  EXPECT_TRUE(table.note(Direction::kAToB, by_a(kTcpSyn, 99, 0), 20).reset);  // the SYN of the old one, sent again
  const Flow& fresh = table.note(Direction::kAToB, by_a(kTcpSyn, 123456, 0), 21);
  EXPECT_EQ(fresh.number, 2u);
  EXPECT_TRUE(fresh.live());
  EXPECT_EQ(table.all().size(), 1u);
}

TEST(Flows, TheQuietestIsForgottenFirst) {
  FlowTable table;
  std::int64_t now = 0;
  const auto port_of = [](std::size_t index) { return static_cast<std::uint16_t>(1 + index); };
  for (std::size_t index = 0; index < FlowTable::kFlowsMax; ++index) {
    table.note(Direction::kAToB, by_a(kTcpAck, 1, 1, 0, port_of(index)), ++now);
  }
  table.note(Direction::kAToB, by_a(kTcpAck, 1, 1, 0, port_of(0)), ++now);  // speaks again
  table.note(Direction::kAToB, by_a(kTcpAck, 1, 1, 0, port_of(FlowTable::kFlowsMax)), ++now);
  EXPECT_EQ(table.all().size(), FlowTable::kFlowsMax);
  EXPECT_NE(table.find(Direction::kAToB, by_a(kTcpAck, 1, 1, 0, port_of(0))), nullptr);
  EXPECT_EQ(table.find(Direction::kAToB, by_a(kTcpAck, 1, 1, 0, port_of(1))), nullptr);
}

}  // namespace
}  // namespace zferry::wanlab
