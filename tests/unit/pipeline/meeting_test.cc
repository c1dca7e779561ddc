// Dialling, reception and the address book on simulated hosts: who gets through, who is turned away, and that idle
// strangers keep nobody out.
#include "pipeline/meeting.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "unit/pipeline/machine.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using wire::Role;

TEST(AddressBook, OneHostIsOneAddress) {
  EXPECT_EQ(AddressBook::address_of("192.0.2.7:4711"), "192.0.2.7");
  EXPECT_EQ(AddressBook::address_of("host:1"), "host");
  // One /64, however it is written, and its neighbours.
  const char* same[] = {"[2001:db8::1]:9443", "[2001:db8::5:6:7:8]:1", "[2001:db8:0:0:a:b:c:d]:2",
                        "[2001:db8:0:0:ffff::]:9443", "[2001:db8::a:0:0:1]:3"};
  std::set<std::string> addresses;
  for (const char* name : same) addresses.insert(AddressBook::address_of(name));
  EXPECT_EQ(addresses.size(), 1u);
  const char* others[] = {"[2001:db8:0:1::1]:9443", "[2001:db8:1::1]:9443", "[::1]:9443", "[fe80::1%eth0]:9443",
                          "[2001:db8:1:2:3:4:5:6]:1"};
  for (const char* name : others) addresses.insert(AddressBook::address_of(name));
  EXPECT_EQ(addresses.size(), 6u);
  EXPECT_EQ(AddressBook::address_of("[fe80::1%eth0]:1"), AddressBook::address_of("[fe80::2%eth0]:2"));
}

TEST(AddressBook, FailuresCostPlacesForAWhile) {
  AddressBook book;
  TimePoint now{seconds(100)};
  for (int i = 0; i < limits::kFailuresBeforePenalty - 1; ++i) book.failed("a", now);
  EXPECT_EQ(book.places("a", now), limits::kUnauthenticatedPerAddressMax);
  book.failed("a", now);
  EXPECT_EQ(book.places("a", now), limits::kUnauthenticatedPenalisedMax);
  EXPECT_EQ(book.places("b", now), limits::kUnauthenticatedPerAddressMax);
  EXPECT_EQ(book.places("a", now + limits::kPenaltyWindow), limits::kUnauthenticatedPenalisedMax);
  EXPECT_EQ(book.places("a", now + limits::kPenaltyWindow + seconds(1)), limits::kUnauthenticatedPerAddressMax);
  for (int i = 0; i < limits::kFailuresBeforePenalty; ++i) book.failed("a", now);
  EXPECT_EQ(book.places("a", now), limits::kUnauthenticatedPenalisedMax);
  book.proved("a");
  EXPECT_EQ(book.places("a", now), limits::kUnauthenticatedPerAddressMax);
}

// A flood from ever new addresses: those that were counted stay so, newcomers are served uncounted.
TEST(AddressBook, IsOfBoundedSize) {
  AddressBook book;
  TimePoint now{seconds(1)};
  constexpr int kAddressesMax = 4096;
  for (int host = 0; host < kAddressesMax; ++host) book.failed(std::to_string(host), now);
  for (int i = 1; i < limits::kFailuresBeforePenalty; ++i) book.failed("17", now);
  for (int i = 0; i < limits::kFailuresBeforePenalty; ++i) book.failed("new", now);
  EXPECT_EQ(book.places("17", now), limits::kUnauthenticatedPenalisedMax);
  EXPECT_EQ(book.places("new", now), limits::kUnauthenticatedPerAddressMax);
}

// A target that listens, a source that may come in, and any number of strangers.
class Meeting : public ::testing::Test {
 protected:
  Meeting() {
    pair = pair_by_keys(target.random);
    listening.listen = true;
    listening.endpoint = {"", "9443"};
    listening.credentials = std::move(pair.listener);
    dialling.endpoint = {"target", "9443"};
    dialling.credentials = std::move(pair.dialler);
    notices.info = [this](const std::string& text) { told.push_back(text); };
  }
  void listen() {
    Reception::Events events;
    events.busy = [this](bool joins) { return joins ? busy_for_more : busy; };
    events.lane_up = [this](EstablishedLane up) {
      lanes.push_back(std::move(up));
      busy = true;
    };
    reception = std::make_unique<Reception>(target.host, listening, lane, Role::kTarget, notices, std::move(events));
    ASSERT_TRUE(reception->start().ok());
  }
  // The end of a dial; kNone: a lane.
  Fault dial(Machine& from, const std::shared_ptr<const Ticket>& ticket = nullptr) {
    std::optional<Fault> fault;
    Dialling attempt(from.host, dialling, lane, Role::kSource, ticket, [&](Result<EstablishedLane> result) {
      EXPECT_FALSE(fault) << "called twice";
      fault = result ? Fault::kNone : result.error().fault;
      if (result) dialled.push_back(std::move(*result));
    });
    attempt.start();
    EXPECT_TRUE(world.run_until([&] { return fault.has_value(); }, minutes_of_patience));
    world.run_for(milliseconds(50));
    return fault.value_or(Fault::kInternal);
  }
  // A connection that says `greeting` and stays.
  void come(Machine& from, std::vector<std::byte> greeting = {}) {
    from.host.network.connect({"target", "9443"}, seconds(10), [this, greeting](auto stream) {
      ASSERT_TRUE(stream.ok());
      visitors.push_back(std::move(*stream));
      if (greeting.empty()) return;
      auto bytes = std::make_shared<std::vector<std::byte>>(greeting);
      visitors.back()->write(*bytes, [bytes](auto) {});
    });
    world.run_for(milliseconds(5));
  }

  static constexpr Duration minutes_of_patience = seconds(120);
  io::SimWorld world{11};
  Machine target{world.add_host("target"), 1};
  Machine source{world.add_host("source"), 2};
  Machine stranger{world.add_host("stranger"), 3};
  Pairing pair;
  MeetingSettings listening, dialling;
  LaneSettings lane = lane_settings();
  Notices notices;
  bool busy = false;
  bool busy_for_more = false;
  std::vector<std::string> told;
  std::vector<EstablishedLane> lanes, dialled;
  std::vector<std::unique_ptr<io::ByteStream>> visitors;
  std::unique_ptr<Reception> reception;
};

TEST_F(Meeting, ALaneComesUpAndASecondOneIsToldBusy) {
  listen();
  EXPECT_EQ(dial(source), Fault::kNone);
  ASSERT_EQ(lanes.size(), 1u);
  EXPECT_EQ(reception->unproved(), 0u);
  EXPECT_EQ(dial(source), Fault::kBusy);
  EXPECT_EQ(lanes.size(), 1u);
  busy = false;
  EXPECT_EQ(dial(source), Fault::kNone);
  EXPECT_EQ(lanes.size(), 2u);
  EXPECT_EQ(reception->unproved(), 0u);
}

TEST_F(Meeting, ADialWithATicketProvesItself) {
  listen();
  auto ticket = std::make_shared<const Ticket>(seal::SecretBytes::random(source.random), 5);
  EXPECT_EQ(dial(source), Fault::kNone);
  EXPECT_EQ(dial(source), Fault::kBusy) << "no other session";
  EXPECT_EQ(dial(source, ticket), Fault::kNone) << "but further lanes";
  busy_for_more = true;
  EXPECT_EQ(dial(source, ticket), Fault::kBusy);
  ASSERT_EQ(lanes.size(), 2u);
  EXPECT_TRUE(lanes[0].join.fresh());
  EXPECT_TRUE(ticket->proves(lanes[1].join, lanes[1].transcript));
  EXPECT_FALSE(ticket->proves(lanes[1].join, lanes[0].transcript));
}

TEST_F(Meeting, IdleConnectionsKeepNobodyOut) {
  listen();
  std::vector<std::unique_ptr<Machine>> crowd;
  for (int i = 0; i < 6; ++i)
    crowd.push_back(std::make_unique<Machine>(world.add_host("crowd" + std::to_string(i)), 20 + i));
  std::size_t most = 0;
  for (int round = 0; round < 12; ++round) {
    for (auto& each : crowd) {
      come(*each);
      most = std::max(most, reception->unproved());
    }
  }
  EXPECT_EQ(visitors.size(), 72u);
  EXPECT_EQ(most, static_cast<std::size_t>(limits::kUnauthenticatedMax));
  EXPECT_EQ(dial(source), Fault::kNone) << "another address";
  ASSERT_EQ(lanes.size(), 1u);
  busy = false;
  EXPECT_EQ(dial(*crowd[3]), Fault::kNone) << "an address that others fill";
  ASSERT_EQ(lanes.size(), 2u);
  EXPECT_GT(reception->unproved(), 0u);
  world.run_for(limits::kHandshakeGrace + seconds(1));
  EXPECT_EQ(reception->unproved(), 0u);
}

TEST_F(Meeting, OneAddressHoldsItsShareAtMost) {
  listen();
  for (int i = 0; i < 20; ++i) come(stranger);
  EXPECT_EQ(reception->unproved(), static_cast<std::size_t>(limits::kUnauthenticatedPerAddressMax));
  world.run_for(limits::kHandshakeGrace + seconds(1));
  EXPECT_EQ(reception->unproved(), 0u);
  // It failed eight times by silence; twice more by garbage, and it keeps fewer places.
  for (int i = 0; i < 2; ++i) come(stranger, random_bytes(stranger.random, 512));
  EXPECT_EQ(reception->unproved(), 0u) << "garbage is turned away at once";
  for (int i = 0; i < 20; ++i) come(stranger);
  EXPECT_EQ(reception->unproved(), static_cast<std::size_t>(limits::kUnauthenticatedPenalisedMax));
  EXPECT_EQ(dial(stranger), Fault::kNone) << "a principal in good standing behind the same address";
  ASSERT_EQ(lanes.size(), 1u);
  for (int i = 0; i < 20; ++i) come(stranger);
  EXPECT_EQ(reception->unproved(), static_cast<std::size_t>(limits::kUnauthenticatedPerAddressMax));
  EXPECT_GE(told.size(), 40u);
}

TEST_F(Meeting, AGreetingInManyPiecesWithoutAProofIsTurnedAway) {
  listen();
  Dialler dialler(source.host, dialling.credentials, lane, Role::kSource, false);
  come(stranger, dialler.first_message());
  EXPECT_EQ(reception->unproved(), 1u);
  EXPECT_TRUE(lanes.empty());
  world.run_for(limits::kHandshakeGrace + seconds(1));
  EXPECT_EQ(reception->unproved(), 0u);
  // With somebody else's proof it ends at once.
  Dialler again(source.host, dialling.credentials, lane, Role::kSource, false);
  std::vector<std::byte> greeting = again.first_message();
  greeting.resize(greeting.size() + proof_bytes());
  come(stranger, greeting);
  world.run_for(milliseconds(100));
  EXPECT_EQ(reception->unproved(), 0u);
  EXPECT_TRUE(lanes.empty());
  EXPECT_EQ(dial(source), Fault::kNone);
}

TEST_F(Meeting, WhoIsNotAllowedIsToldAndCounted) {
  listening.credentials.allowed = {seal::public_key(seal::SecretBytes::random(target.random))};
  listen();
  EXPECT_EQ(dial(source), Fault::kNotAllowed);
  EXPECT_TRUE(lanes.empty());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("its key is not allowed here: zferry-public-"), std::string::npos);
}

TEST_F(Meeting, EndsOfADialNameTheirFault) {
  EXPECT_EQ(dial(source), Fault::kUnreachable) << "nobody listens";
  dialling.credentials.peer = seal::public_key(seal::SecretBytes::random(target.random));
  listen();
  EXPECT_EQ(dial(source), Fault::kNotAllowed) << "the listener has another key: no answer";
  reception.reset();
  auto silent = target.host.network.listen({"", "9443"});
  ASSERT_TRUE(silent.ok());
  TimePoint before = world.now();
  EXPECT_EQ(dial(source), Fault::kLinkLost) << "it takes the connection and says nothing";
  EXPECT_GE(world.now() - before, limits::kHandshakeGrace);
}

// The time runs out at every moment of the handshake, also while the proof is on its way: one end, the right one.
TEST_F(Meeting, GraceMayEndAtAnyMoment) {
  listen();
  std::map<Fault, int> ends;
  for (int i = 0; i < 400; ++i) {
    dialling.handshake_grace = microseconds(200 + 4 * i);
    ++ends[dial(source)];
    busy = false;
    lanes.clear();
    dialled.clear();
    world.run_for(milliseconds(20));
  }
  EXPECT_EQ(ends[Fault::kLinkLost] + ends[Fault::kNone], 400);
  EXPECT_GT(ends[Fault::kLinkLost], 20);
  EXPECT_GT(ends[Fault::kNone], 20);
  EXPECT_EQ(reception->unproved(), 0u);
}

TEST_F(Meeting, AnyHandshakeThatIsCutOrFlippedLeavesNothing) {
  listen();
  int refused = 0;
  std::size_t connection = 0;
  for (std::uint64_t at = 0; at < 512 + proof_bytes(); at += 7) {
    auto action = at % 2 == 0 ? io::SimFault::Action::kReset : io::SimFault::Action::kFlip;
    auto way = at % 3 == 0 && at < 512 ? io::SimDirection::kToDialler : io::SimDirection::kToListener;
    world.network().plan(connection++, {.action = action, .direction = way, .after_bytes = at});
    dial(source);
    world.run_for(limits::kHandshakeGrace + limits::kPenaltyWindow);
    if (lanes.empty()) ++refused;
    lanes.clear();
    dialled.clear();
    busy = false;
    EXPECT_EQ(reception->unproved(), 0u) << at;
  }
  EXPECT_EQ(refused, 87);
  EXPECT_EQ(dial(source), Fault::kNone);
}

}  // namespace
}  // namespace zferry::pipeline
