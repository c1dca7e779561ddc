// Which packets a cut stops, when it heals, and who is remembered to have passed first.
#include "cuts.h"

#include <gtest/gtest.h>

#include "made_packets.h"

namespace zferry::wanlab {
namespace {

Packet sent_at(std::int64_t ns) {
  Packet packet = make_udp(100);
  packet.offered_ns = ns;
  return packet;
}

Flow numbered(std::uint64_t number) {
  Flow flow;
  flow.number = number;
  return flow;
}

TEST(Cuts, WholeOrOneDirection) {
  Cuts cuts;
  EXPECT_FALSE(cuts.drops(Direction::kAToB, std::nullopt, nullptr));
  Cut one_way;
  one_way.directions = {true, false};
  EXPECT_EQ(cuts.add(one_way), 1u);
  EXPECT_TRUE(cuts.drops(Direction::kAToB, std::nullopt, nullptr));
  EXPECT_FALSE(cuts.drops(Direction::kBToA, std::nullopt, nullptr));
  EXPECT_EQ(cuts.add({}), 2u);
  EXPECT_TRUE(cuts.drops(Direction::kBToA, std::nullopt, nullptr));
  EXPECT_EQ(cuts.heal(2, 10), 1u);
  EXPECT_FALSE(cuts.drops(Direction::kBToA, std::nullopt, nullptr));
  EXPECT_EQ(cuts.heal(2, 10), 0u);
  EXPECT_EQ(cuts.heal(std::nullopt, 11), 1u);
  EXPECT_FALSE(cuts.drops(Direction::kAToB, std::nullopt, nullptr));
}

TEST(Cuts, OnePortOrSomeFlows) {
  Cuts cuts;
  Cut port;
  port.port = 2000;
  cuts.add(port);
  EXPECT_TRUE(cuts.drops(Direction::kAToB, make_tcp({.to_port = 2000}).tcp(), nullptr));
  EXPECT_TRUE(cuts.drops(Direction::kBToA, make_tcp({.from_port = 2000, .to_port = 5}).tcp(), nullptr));
  EXPECT_FALSE(cuts.drops(Direction::kAToB, make_tcp({.to_port = 2001}).tcp(), nullptr));
  EXPECT_FALSE(cuts.drops(Direction::kAToB, std::nullopt, nullptr));
  cuts.heal(std::nullopt, 0);
  Cut flows;
  flows.flows = {{3, 5}};
  cuts.add(flows);
  const auto tcp = make_tcp({}).tcp();
  const Flow third = numbered(3);
  const Flow fourth = numbered(4);
  EXPECT_TRUE(cuts.drops(Direction::kAToB, tcp, &third));
  EXPECT_FALSE(cuts.drops(Direction::kAToB, tcp, &fourth));
  EXPECT_FALSE(cuts.drops(Direction::kAToB, std::nullopt, nullptr));
}

TEST(Cuts, HealsByItself) {
  Cuts cuts;
  Cut short_one;
  short_one.until_ns = 100;
  Cut longer;
  longer.until_ns = 200;
  cuts.add(longer);
  cuts.add(short_one);
  cuts.add({});
  EXPECT_EQ(cuts.next_ns(), 100);
  cuts.heal_due(99);
  EXPECT_EQ(cuts.open().size(), 3u);
  cuts.heal_due(100);
  EXPECT_EQ(cuts.open().size(), 2u);
  EXPECT_EQ(cuts.next_ns(), 200);
  cuts.heal_due(1000);
  EXPECT_EQ(cuts.open().size(), 1u);
  EXPECT_FALSE(cuts.next_ns());
  EXPECT_EQ(cuts.last_healed()->cut.number, 1u);
  EXPECT_EQ(cuts.last_healed()->healed_ns, 1000);
}

TEST(Cuts, RemembersWhoPassedFirst) {
  Cuts cuts;
  Cut one_way;
  one_way.directions = {true, false};
  cuts.add(one_way);
  cuts.passed(Direction::kAToB, sent_at(5), std::nullopt, nullptr, 6);  // nothing was healed yet
  EXPECT_FALSE(cuts.last_healed());
  cuts.heal(std::nullopt, 100);
  cuts.passed(Direction::kAToB, sent_at(90), std::nullopt, nullptr, 110);   // sent before
  cuts.passed(Direction::kBToA, sent_at(105), std::nullopt, nullptr, 112);  // was never stopped
  EXPECT_FALSE(cuts.last_healed()->first[0]);
  cuts.passed(Direction::kAToB, sent_at(120), std::nullopt, nullptr, 130);
  cuts.passed(Direction::kAToB, sent_at(125), std::nullopt, nullptr, 135);
  ASSERT_TRUE(cuts.last_healed()->first[0]);
  EXPECT_EQ(cuts.last_healed()->first[0]->sent_ns, 120);
  EXPECT_EQ(cuts.last_healed()->first[0]->arrived_ns, 130);
  EXPECT_FALSE(cuts.last_healed()->first[1]);
}

TEST(Cuts, AreBounded) {
  Cuts cuts;
  for (std::size_t index = 0; index < Cuts::kCutsMax; ++index) EXPECT_TRUE(cuts.add({}));
  EXPECT_FALSE(cuts.add({}));
}

}  // namespace
}  // namespace zferry::wanlab
