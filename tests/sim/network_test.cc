// The simulated network: bytes cross unchanged under splits, latency and back-pressure, and each fault does what it
// says.
#include <gtest/gtest.h>

#include "sim_traffic.h"

namespace zferry::io {
namespace {

constexpr SimDirection kThere = SimDirection::kToListener;
constexpr SimDirection kBack = SimDirection::kToDialler;

TEST(Network, BytesCrossUnchangedBothWays) {
  std::size_t compared = 0, reads = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Pair pair(seed);
    SimLinkSettings& link = pair.world.network().link();
    link.latency = milliseconds(seed % 7);
    link.jitter = milliseconds(seed % 3);
    link.bytes_per_second = seed % 4 == 0 ? 0 : 1'000'000 * seed;
    link.buffer_bytes = seed % 5 == 0 ? 3000 : 256 * 1024;
    ASSERT_TRUE(pair.connect()) << seed;
    Sender there(*pair.dialled, random_bytes(200'000 + seed, seed), seed);
    Sender back(*pair.accepted, random_bytes(100'000 + seed, seed + 1000), seed + 1);
    Receiver at_target(*pair.accepted, seed + 2), at_source(*pair.dialled, seed + 3);
    there.go(), back.go(), at_target.go(), at_source.go();
    ASSERT_TRUE(pair.world.run_until([&] { return at_target.done() && at_source.done(); }, hours(1))) << seed;
    ASSERT_EQ(at_target.bytes, there.bytes) << seed;
    ASSERT_EQ(at_source.bytes, back.bytes) << seed;
    compared += at_target.bytes.size() + at_source.bytes.size();
    reads += at_target.reads + at_source.reads;
  }
  EXPECT_GE(compared, 9'000'000u);
  EXPECT_GT(reads, 600u) << "everything came in one piece";
}

TEST(Network, SegmentsComeInPiecesSmallOnesAmongThem) {
  Pair pair(1);
  ASSERT_TRUE(pair.connect());
  std::vector<std::size_t> lengths;
  std::uint64_t next = 0;
  pair.connection().tap([&](SimDirection direction, std::uint64_t offset, Bytes piece) {
    EXPECT_EQ(direction, kThere);
    EXPECT_EQ(offset, next);
    next += piece.size();
    lengths.push_back(piece.size());
  });
  Sender sender(*pair.dialled, random_bytes(1'000'000, 1), 1);
  Receiver receiver(*pair.accepted, 1);
  sender.go(), receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.ended; }, hours(1)));
  EXPECT_EQ(next, 1'000'000u);
  EXPECT_GT(lengths.size(), 30u);
  EXPECT_LE(*std::min_element(lengths.begin(), lengths.end()), 16u);
  EXPECT_GE(*std::max_element(lengths.begin(), lengths.end()), 10'000u);
}

TEST(Network, CompletionsNeverComeInsideTheCall) {
  Pair pair(2);
  ASSERT_TRUE(pair.connect());
  bool inside = true;
  int completions = 0;
  auto check = [&](Result<std::size_t>) {
    EXPECT_FALSE(inside);
    ++completions;
  };
  std::vector<std::byte> buffer(10);
  pair.accepted->write(buffer, check);
  inside = false;
  pair.world.run_for(seconds(1));
  inside = true;
  pair.dialled->read(buffer, check);
  pair.dialled->write(ConstBytes{}, check);
  inside = false;
  pair.world.run_for(seconds(1));
  EXPECT_EQ(completions, 3);
}

TEST(Network, BackPressureIsReal) {
  Pair pair(3);
  pair.world.network().link().buffer_bytes = 10'000;
  ASSERT_TRUE(pair.connect());
  Sender sender(*pair.dialled, random_bytes(100'000, 1), 1);
  sender.block_bytes_max = 4000;
  sender.go();
  pair.world.run_for(hours(1));
  EXPECT_FALSE(sender.done);
  EXPECT_LE(sender.accepted, 10'000u);
  EXPECT_EQ(pair.connection().bytes_arrived(kThere), 10'000u);
  Receiver receiver(*pair.accepted, 1);
  receiver.loop = &pair.target.loop();
  receiver.pause = milliseconds(10);
  receiver.buffer_bytes_max = 1000;
  receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.ended; }, hours(1)));
  EXPECT_EQ(receiver.bytes, sender.bytes);
}

TEST(Network, BandwidthAndLatencyTakeTheirTime) {
  Pair pair(4);
  pair.world.network().link() = {.latency = milliseconds(50), .jitter = Duration(0), .bytes_per_second = 1'000'000};
  TimePoint start = pair.world.now();
  ASSERT_TRUE(pair.connect());
  EXPECT_GE(pair.world.now() - start, milliseconds(100));
  start = pair.world.now();
  Sender sender(*pair.dialled, random_bytes(2'000'000, 1), 1);
  Receiver receiver(*pair.accepted, 1);
  sender.go(), receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.ended; }, hours(1)));
  EXPECT_GE(pair.world.now() - start, seconds(2) + milliseconds(50));
  EXPECT_LT(pair.world.now() - start, seconds(4));
}

TEST(Network, ConnectIsRefusedOrTimesOut) {
  SimWorld world(5);
  SimHost& source = world.add_host("source");
  SimHost& target = world.add_host("target");
  auto try_connect = [&](const Endpoint& to) {
    std::optional<Error> error;
    TimePoint start = world.now();
    source.network().connect(to, seconds(10),
                             [&](Result<std::unique_ptr<ByteStream>> stream) { error = stream.error(); });
    EXPECT_FALSE(error.has_value());
    EXPECT_TRUE(world.run_until([&] { return error.has_value(); }, seconds(60)));
    EXPECT_EQ(error->fault, Fault::kUnreachable);
    return std::pair(error->what, world.now() - start);
  };
  auto refused = try_connect({"target", "9443"});
  EXPECT_NE(refused.first.find("refused"), std::string::npos);
  EXPECT_GE(refused.second, 2 * world.network().link().latency);
  EXPECT_NE(try_connect({"nobody", "9443"}).first.find("no such host"), std::string::npos);
  auto listener = std::move(target.network().listen({"", "9443"})).value();
  world.network().part("source", "target");
  EXPECT_GE(try_connect({"target", "9443"}).second, seconds(10));
  world.network().heal("source", "target");
  target.crash(SimCrash::kPowerLoss);
  EXPECT_GE(try_connect({"target", "9443"}).second, seconds(10));
  target.restart();
  EXPECT_LT(try_connect({"target", "9443"}).second, seconds(1));
}

TEST(Network, ListenersPickPortsAndRefuseTakenOnes) {
  SimWorld world(6);
  SimHost& host = world.add_host("host");
  auto one = std::move(host.network().listen({"", "0"})).value();
  auto two = std::move(host.network().listen({"host", "0"})).value();
  EXPECT_NE(one->port(), 0);
  EXPECT_NE(one->port(), two->port());
  EXPECT_EQ(host.network().listen({"", std::to_string(one->port())}).error().fault, Fault::kUnreachable);
  EXPECT_EQ(host.network().listen({"elsewhere", "1"}).error().fault, Fault::kUsage);
  std::string port = std::to_string(one->port());
  one.reset();
  EXPECT_TRUE(host.network().listen({"", port}).ok());
}

// What both ends saw of a connection that carries 300,000 bytes each way.
struct Seen {
  std::vector<std::byte> sent_there, got_there, sent_back, got_back;
  bool target_ended, source_ended;
  Fault target_fault, source_fault, sender_fault;
};

Seen run_with(std::uint64_t seed, const SimFault& fault, Duration time = seconds(30)) {
  Pair pair(seed);
  pair.world.network().link().bytes_per_second = 30'000'000;
  pair.world.network().plan(0, fault);
  EXPECT_TRUE(pair.connect());
  Sender there(*pair.dialled, random_bytes(300'000, seed), seed),
      back(*pair.accepted, random_bytes(300'000, seed + 1), seed);
  Receiver at_target(*pair.accepted, seed), at_source(*pair.dialled, seed);
  there.go(), back.go(), at_target.go(), at_source.go();
  pair.world.run_for(time);
  return {there.bytes,     at_target.bytes, back.bytes,      at_source.bytes, at_target.ended,
          at_source.ended, at_target.fault, at_source.fault, there.fault};
}

bool is_prefix(const std::vector<std::byte>& part, const std::vector<std::byte>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

TEST(Faults, ResetAfterBytes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::uint64_t bytes = 1 + seed * 13'331;
    Seen seen = run_with(seed, {.action = SimFault::Action::kReset, .after_bytes = bytes});
    EXPECT_EQ(seen.got_there.size(), bytes);
    EXPECT_TRUE(is_prefix(seen.got_there, seen.sent_there));
    EXPECT_TRUE(is_prefix(seen.got_back, seen.sent_back));
    // The error is told once on each end, to the read or to the write, as by Linux.
    EXPECT_TRUE(seen.target_fault == Fault::kLinkLost || seen.target_ended);
    EXPECT_TRUE(seen.source_fault == Fault::kLinkLost || seen.sender_fault == Fault::kLinkLost) << seed;
  }
}

TEST(Faults, ResetAtATime) {
  Seen seen = run_with(1, {.action = SimFault::Action::kReset, .after = milliseconds(5)});
  EXPECT_GT(seen.got_there.size(), 0u);
  EXPECT_LT(seen.got_there.size(), 300'000u);
  EXPECT_TRUE(seen.source_fault == Fault::kLinkLost || seen.sender_fault == Fault::kLinkLost);
}

TEST(Faults, EndInOneDirectionLeavesTheOther) {
  Seen seen = run_with(2, {.action = SimFault::Action::kEnd, .direction = kThere, .after_bytes = 12'345});
  EXPECT_TRUE(seen.target_ended);
  EXPECT_EQ(seen.got_there.size(), 12'345u);
  EXPECT_TRUE(is_prefix(seen.got_there, seen.sent_there));
  EXPECT_TRUE(seen.source_ended);
  EXPECT_EQ(seen.got_back, seen.sent_back);
  EXPECT_EQ(seen.sender_fault, Fault::kNone);
}

TEST(Faults, SilenceTellsNobodyUntilTheUserTimeout) {
  SimFault fault{.action = SimFault::Action::kSilence, .direction = kBack, .after_bytes = 50'000};
  Seen seen = run_with(3, fault, seconds(50));
  EXPECT_EQ(seen.got_back.size(), 50'000u);
  EXPECT_FALSE(seen.target_ended || seen.source_ended);
  EXPECT_EQ(seen.source_fault, Fault::kNone);
  EXPECT_EQ(seen.sender_fault, Fault::kNone);
  EXPECT_EQ(seen.target_fault, Fault::kNone);
  seen = run_with(3, fault, seconds(70));
  EXPECT_TRUE(seen.source_fault == Fault::kLinkLost || seen.sender_fault == Fault::kLinkLost);
}

TEST(Faults, StallHealsAndLosesNothing) {
  SimFault fault{.action = SimFault::Action::kStall, .after_bytes = 100'000, .stall = seconds(20)};
  Seen seen = run_with(4, fault, seconds(19));
  EXPECT_LT(seen.got_there.size(), 300'000u);
  EXPECT_GE(seen.got_there.size(), 100'000u);
  seen = run_with(4, fault, seconds(30));
  EXPECT_EQ(seen.got_there, seen.sent_there);
  EXPECT_EQ(seen.got_back, seen.sent_back);
  EXPECT_TRUE(seen.target_ended && seen.source_ended);
}

TEST(Faults, FlipChangesOneBit) {
  for (std::uint64_t offset : {0ull, 1ull, 77'777ull, 299'999ull}) {
    Seen seen = run_with(offset, {.action = SimFault::Action::kFlip, .after_bytes = offset, .bit = 5});
    ASSERT_EQ(seen.got_there.size(), seen.sent_there.size());
    EXPECT_EQ(seen.got_there[offset], seen.sent_there[offset] ^ std::byte{32});
    seen.got_there[offset] ^= std::byte{32};
    EXPECT_EQ(seen.got_there, seen.sent_there);
    EXPECT_EQ(seen.got_back, seen.sent_back);
  }
}

TEST(Faults, ATapMayMangle) {
  Pair pair(6);
  pair.world.network().on_connection([](SimConnection& connection) {
    connection.tap([](SimDirection, std::uint64_t, Bytes piece) {
      for (std::byte& byte : piece) byte = ~byte;
    });
  });
  ASSERT_TRUE(pair.connect());
  Sender sender(*pair.dialled, random_bytes(50'000, 1), 1);
  Receiver receiver(*pair.accepted, 1);
  sender.go(), receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.ended; }, hours(1)));
  for (std::byte& byte : receiver.bytes) byte = ~byte;
  EXPECT_EQ(receiver.bytes, sender.bytes);
}

TEST(Faults, ChaosIsBounded) {
  std::size_t struck = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Pair pair(seed);
    pair.world.network().set_chaos({.chance = 0.5, .faults_max = 1, .bytes_max = 100'000, .flips = true});
    ASSERT_TRUE(pair.connect());
    EXPECT_LE(pair.world.network().chaos_faults(), 1u);
    struck += pair.world.network().chaos_faults();
  }
  EXPECT_GT(struck, 10u);
  EXPECT_LT(struck, 40u);
}

TEST(Closing, SendsWhatWasWrittenAndThenAnEnd) {
  Pair pair(7);
  ASSERT_TRUE(pair.connect());
  Sender sender(*pair.dialled, random_bytes(100'000, 1), 1);
  sender.ends = false;
  sender.go();
  ASSERT_TRUE(pair.world.run_until([&] { return sender.done; }, seconds(1)));
  pair.dialled.reset();
  pair.world.run_for(seconds(1));
  Receiver receiver(*pair.accepted, 1);
  receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.done(); }, seconds(1)));
  EXPECT_TRUE(receiver.ended);
  EXPECT_EQ(receiver.bytes, sender.bytes);
}

TEST(Closing, AnEndDuringAWriteComesAfterItAndRefusesTheNext) {
  Pair pair(14);
  ASSERT_TRUE(pair.connect());
  auto bytes = random_bytes(600'000, 1);
  std::optional<bool> first, second;
  pair.dialled->write(bytes, [&](Result<std::size_t> result) { first = result.ok(); });
  pair.dialled->shutdown_write();
  Receiver receiver(*pair.accepted, 1);
  receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.ended && first; }, seconds(10)));
  EXPECT_TRUE(*first);
  EXPECT_EQ(receiver.bytes, bytes);
  pair.dialled->write(bytes, [&](Result<std::size_t> result) { second = result.ok(); });
  ASSERT_TRUE(pair.world.run_until([&] { return second.has_value(); }, seconds(10)));
  EXPECT_FALSE(*second);
}

TEST(Closing, WithUnreadBytesResetsThePeer) {
  Pair pair(8);
  ASSERT_TRUE(pair.connect());
  Sender sender(*pair.dialled, random_bytes(1000, 1), 1);
  sender.ends = false;
  sender.go();
  pair.world.run_for(seconds(1));
  pair.accepted.reset();
  Receiver receiver(*pair.dialled, 1);
  receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.done(); }, seconds(1)));
  EXPECT_EQ(receiver.fault, Fault::kLinkLost);
}

TEST(Closing, BytesForAClosedEndResetTheirSender) {
  Pair pair(9);
  ASSERT_TRUE(pair.connect());
  pair.accepted.reset();
  pair.world.run_for(seconds(1));
  Receiver receiver(*pair.dialled, 1);
  receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.ended; }, seconds(1)));
  Sender sender(*pair.dialled, random_bytes(1'000'000, 1), 1);
  sender.go();
  ASSERT_TRUE(pair.world.run_until([&] { return sender.done; }, seconds(1)));
  EXPECT_EQ(sender.fault, Fault::kLinkLost);
}

TEST(Closing, DestroyedStreamsNeverCallBackAndLetGoLater) {
  Pair pair(10);
  ASSERT_TRUE(pair.connect());
  auto buffer = std::make_shared<std::vector<std::byte>>(100);
  std::weak_ptr<std::vector<std::byte>> watched = buffer;
  pair.dialled->read(*buffer, [buffer](Result<std::size_t>) { ADD_FAILURE(); });
  std::vector<std::byte>* memory = buffer.get();
  buffer.reset();
  pair.dialled.reset();
  ASSERT_FALSE(watched.expired()) << "the kernel may still write into it";
  EXPECT_EQ((*memory)[0], std::byte{0});
  pair.world.run_for(seconds(1));
  EXPECT_TRUE(watched.expired());
}

TEST(Closing, AClosedListenerResetsWhatWaited) {
  Pair pair(11);
  pair.listener = std::move(pair.target.network().listen({"", "9443"})).value();
  pair.source.network().connect({"target", "9443"}, seconds(1), [&](Result<std::unique_ptr<ByteStream>> stream) {
    pair.dialled = std::move(stream).value();
  });
  pair.world.run_for(seconds(1));
  ASSERT_TRUE(pair.dialled);
  pair.listener.reset();
  Receiver receiver(*pair.dialled, 1);
  receiver.go();
  ASSERT_TRUE(pair.world.run_until([&] { return receiver.done(); }, seconds(1)));
  EXPECT_EQ(receiver.fault, Fault::kLinkLost);
}

TEST(Crash, LooksFromOutsideAsChosen) {
  for (SimCrash how : {SimCrash::kKilled, SimCrash::kReset, SimCrash::kSilence, SimCrash::kPowerLoss}) {
    Pair pair(12);
    ASSERT_TRUE(pair.connect());
    Receiver receiver(*pair.dialled, 1);
    receiver.go();
    pair.target.crash(how);
    pair.world.run_for(seconds(20));
    bool silent = how == SimCrash::kSilence || how == SimCrash::kPowerLoss;
    EXPECT_EQ(receiver.ended, how == SimCrash::kKilled);
    EXPECT_EQ(receiver.fault, how == SimCrash::kReset ? Fault::kLinkLost : Fault::kNone);
    if (!silent) continue;
    pair.target.restart();
    Sender sender(*pair.dialled, random_bytes(10, 1), 1);
    sender.go();
    pair.world.run_for(seconds(20));
    EXPECT_EQ(receiver.fault, how == SimCrash::kPowerLoss ? Fault::kLinkLost : Fault::kNone);
  }
}

TEST(Crash, AKilledHostWithUnreadBytesResets) {
  Pair pair(13);
  ASSERT_TRUE(pair.connect());
  Sender sender(*pair.dialled, random_bytes(1000, 1), 1);
  sender.ends = false;
  sender.go();
  pair.world.run_for(seconds(1));
  pair.target.crash(SimCrash::kKilled);
  Receiver receiver(*pair.dialled, 1);
  receiver.go();
  pair.world.run_for(seconds(1));
  EXPECT_EQ(receiver.fault, Fault::kLinkLost);
}

}  // namespace
}  // namespace zferry::io
