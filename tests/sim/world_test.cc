// The simulator keeps its own promises: one seed is one run, bytes cross unchanged, hosts crash and come back.
#include "io/sim_world.h"

#include <gtest/gtest.h>

#include "sim_traffic.h"

namespace zferry::io {
namespace {

std::vector<std::string> traced_run(std::uint64_t seed) {
  Pair pair(seed);
  pair.world.keep_trace(100'000);
  pair.source.add_program("producer",
                          SimProducer{.source = sim_source(random_bytes(500'000, 1)), .chunk_bytes_max = 700});
  pair.target.add_program("consumer",
                          SimConsumer{.chunk_bytes_max = 900, .pause_chance = 0.01, .pause_max = milliseconds(1)});
  EXPECT_TRUE(pair.connect());
  auto producer = std::move(pair.source.processes().spawn({"producer"}, PipeEnd::kItsOutput)).value();
  auto consumer = std::move(pair.target.processes().spawn({"consumer"}, PipeEnd::kItsInput)).value();
  Receiver input(producer->pipe(), seed);
  Sender output(consumer->pipe(), random_bytes(500'000, 2), seed);
  Sender there(*pair.dialled, random_bytes(900'000, 3), seed);
  Receiver here(*pair.accepted, seed);
  there.block_bytes_max = here.buffer_bytes_max = 2000;
  input.go(), output.go(), there.go(), here.go();
  EXPECT_TRUE(pair.world.run_until([&] { return input.ended && output.done && here.ended; }, hours(1)));
  EXPECT_EQ(here.bytes, there.bytes);
  EXPECT_EQ(input.bytes.size(), 500'000u);
  return pair.world.trace_lines();
}

TEST(World, OneSeedIsOneRun) {
  std::vector<std::string> first = traced_run(7);
  std::vector<std::string> again = traced_run(7);
  std::vector<std::string> other = traced_run(8);
  EXPECT_GT(first.size(), 5000u);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
}

TEST(World, TraceKeepsTheLastLines) {
  SimWorld world(1);
  world.keep_trace(3);
  for (int index = 0; index < 10; ++index) world.add_host("host" + std::to_string(index)).crash();
  std::vector<std::string> lines = world.trace_lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_NE(lines[0].find("host7 crashes"), std::string::npos);
  EXPECT_NE(lines[2].find("host9 crashes"), std::string::npos);
}

TEST(Loop, PostsKeepTheirOrderAndTakeNoTime) {
  SimWorld world(2);
  SimHost& host = world.add_host("host");
  std::vector<int> seen;
  TimePoint start = host.loop().now();
  host.loop().post([&] {
    seen.push_back(0);
    host.loop().post([&] { seen.push_back(1000); });
  });
  for (int index = 1; index < 100; ++index) host.loop().post([&seen, index] { seen.push_back(index); });
  EXPECT_TRUE(seen.empty());
  ASSERT_TRUE(world.run_until([&] { return seen.size() == 101; }, seconds(1)));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(host.loop().now(), start);
}

TEST(Loop, TimersFireOnceAtOrAfterTheirTimeAndCanBeCancelled) {
  SimWorld world(3);
  SimHost& host = world.add_host("host");
  TimePoint start = host.loop().now();
  int fired = 0;
  TimePoint when;
  TimerId kept = host.loop().after(seconds(5), [&] { ++fired, when = host.loop().now(); });
  TimerId dropped = host.loop().after(seconds(1), [&] { fired += 100; });
  host.loop().after(Duration::max(), [&] { fired += 1000; });
  EXPECT_NE(kept, 0u);
  EXPECT_NE(kept, dropped);
  host.loop().cancel(dropped);
  host.loop().cancel(dropped);
  host.loop().cancel(0);
  world.run_for(seconds(60));
  EXPECT_EQ(fired, 1);
  EXPECT_GE(when - start, seconds(5));
  EXPECT_LT(when - start, seconds(6));
  host.loop().cancel(kept);
  EXPECT_EQ(host.loop().now() - start, seconds(60));
}

TEST(World, RunUntilGivesUpOnTimeOnNothingLeftAndOnSpinning) {
  SimWorld world(4);
  SimHost& host = world.add_host("host");
  EXPECT_FALSE(world.run_until([] { return false; }, hours(1)));
  EXPECT_EQ(world.now(), TimePoint{});
  world.after(seconds(10), [] {});
  EXPECT_FALSE(world.run_until([] { return false; }, seconds(3)));
  EXPECT_EQ(world.now(), TimePoint{seconds(3)});
  std::function<void()> spin = [&] { host.loop().post(spin); };
  spin();
  EXPECT_FALSE(world.run_until([] { return false; }, hours(1), 1000));
}

TEST(Crash, DropsTimersPostsAndCompletions) {
  for (SimCrash how : {SimCrash::kKilled, SimCrash::kReset, SimCrash::kSilence, SimCrash::kPowerLoss}) {
    Pair pair(5);
    ASSERT_TRUE(pair.connect());
    Loop& loop = pair.source.loop();
    Network& network = pair.source.network();
    auto token = std::make_shared<int>(0);
    auto count = [token] { ++*token; };
    std::vector<std::byte> buffer(100);
    TimerId timer = loop.after(seconds(1), count);
    loop.post(count);
    pair.dialled->read(buffer, [token](Result<std::size_t>) { ++*token; });
    pair.dialled->write(buffer, [token](Result<std::size_t>) { ++*token; });
    network.connect({"target", "1"}, seconds(1), [token](Result<std::unique_ptr<ByteStream>>) { ++*token; });
    auto own_listener = std::move(network.listen({"", "1"})).value();
    own_listener->accept([token](Result<std::unique_ptr<ByteStream>>) { ++*token; });
    pair.source.crash(how);
    EXPECT_FALSE(pair.source.up());
    // What the dead program still calls does nothing, what it left can go.
    loop.post(count);
    loop.after(seconds(1), count);
    loop.cancel(timer);
    EXPECT_EQ(network.listen({"", "2"}).error().fault, Fault::kUnreachable);
    EXPECT_EQ(pair.source.processes().spawn({"x"}, PipeEnd::kItsInput).error().fault, Fault::kCannotRun);
    pair.source.restart();
    pair.world.run_for(seconds(30));
    EXPECT_EQ(*token, 0);
    pair.dialled.reset();
    own_listener.reset();
    pair.world.run_for(seconds(30));
    EXPECT_EQ(token.use_count(), 2) << "closures of the crashed program were kept";  // `count` and `token`
    bool posted = false;
    pair.source.loop().post([&] { posted = true; });
    pair.world.run_for(seconds(1));
    EXPECT_TRUE(posted);
  }
}

TEST(Crash, FromInsideAProgramsCallDestroysNothingUnderIt) {
  SimWorld world(6);
  SimHost& host = world.add_host("host");
  struct Program {
    SimHost& host;
    int value = 1;
    ~Program() { host.loop().cancel(1), value = -1; }
    void run(std::shared_ptr<Program> self) {
      host.loop().after(seconds(1), [self] { ADD_FAILURE(); });
      self.reset();
      EXPECT_FALSE(host.files().state().save("record", as_bytes("x")).ok());
      EXPECT_EQ(value, 1);
    }
  };
  ASSERT_TRUE(host.files().state().prepare().ok());
  host.disk().before_save = [&](const std::string&) { host.crash(SimCrash::kPowerLoss); };
  bool ran = false;
  auto program = std::make_shared<Program>(Program{host});
  std::weak_ptr<Program> watched = program;
  host.loop().post([moved = std::move(program), &ran] {
    moved->run(moved);
    ran = true;
  });
  program.reset();
  ASSERT_TRUE(world.run_until([&] { return ran; }, seconds(1)));
  world.run_for(seconds(2));
  EXPECT_TRUE(watched.expired());
  EXPECT_TRUE(host.disk().records.empty());
}

TEST(Crash, FromHooksInTheMiddleOfThings) {
  for (unsigned number = 0; number < 32; ++number) {
    SimCrash how = static_cast<SimCrash>(number % 4);
    Pair pair(number);
    SimHost& victim = number / 4 % 2 == 0 ? pair.source : pair.target;
    enum { kOnConnection, kOnTap, kOnTake, kOnSave } place = static_cast<decltype(kOnConnection)>(number / 8);
    auto strike = [&] { victim.crash(how); };
    if (place == kOnConnection) pair.world.network().on_connection([&](SimConnection&) { strike(); });
    SimConsumer consumer;
    if (place == kOnTake) consumer.on_bytes = [&](std::uint64_t, ConstBytes) { strike(); };
    victim.add_program("consumer", consumer);
    bool connected = pair.connect();
    EXPECT_EQ(connected, place != kOnConnection);
    if (!connected) {
      // One end may have its stream all the same, and then hears of the crash.
      EXPECT_FALSE(victim.up());
      continue;
    }
    if (place == kOnTap) pair.connection().tap([&](SimDirection, std::uint64_t, Bytes) { strike(); });
    auto child = std::move(victim.processes().spawn({"consumer"}, PipeEnd::kItsInput)).value();
    Sender there(*pair.dialled, random_bytes(10'000, 1), 1), back(*pair.accepted, random_bytes(10'000, 2), 2);
    Sender into_child(child->pipe(), random_bytes(10'000, 3), 3);
    there.go(), back.go();
    if (place == kOnTake) into_child.go();
    if (place == kOnSave) {
      victim.disk().after_save = [&](const std::string&) { strike(); };
      victim.loop().post([&] {
        EXPECT_TRUE(victim.files().state().prepare().ok());
        EXPECT_FALSE(victim.files().state().save("x", as_bytes("x")).ok());
      });
    }
    pair.world.run_for(seconds(10));
    EXPECT_FALSE(victim.up());
    EXPECT_FALSE((&victim == &pair.source ? there : back).done && place == kOnTap);
    victim.restart();
    pair.world.run_for(seconds(10));
  }
}

TEST(Crash, WhatItOwnsMayOutliveTheWorld) {
  std::unique_ptr<ByteStream> stream, input;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Child> child;
  std::unique_ptr<OutputFile> file;
  {
    Pair pair(7);
    ASSERT_TRUE(pair.connect());
    pair.target.add_program("consumer", SimConsumer{});
    stream = std::move(pair.dialled);
    listener = std::move(pair.listener);
    child = std::move(pair.target.processes().spawn({"consumer"}, PipeEnd::kItsInput)).value();
    input = std::move(pair.target.files().standard_input()).value();
    file = std::move(pair.target.files().create("/out")).value();
    // A completion that owns its stream, too.
    auto shared = std::make_shared<std::unique_ptr<ByteStream>>(std::move(pair.accepted));
    auto buffer = std::make_shared<std::vector<std::byte>>(10);
    (*shared)->read(*buffer, [shared, buffer](Result<std::size_t>) { ADD_FAILURE(); });
  }
  EXPECT_EQ(child->pipe().unread(), 0u);
}

TEST(Interrupt, ReachesTheHandlerOrKills) {
  SimWorld world(8);
  SimHost& host = world.add_host("host");
  int seen = 0;
  host.on_interrupt([&](int number) { seen = number; });
  host.interrupt(2);
  EXPECT_EQ(seen, 0);
  world.run_for(seconds(1));
  EXPECT_EQ(seen, 2);
  EXPECT_TRUE(host.up());
  host.crash();
  host.restart();
  host.interrupt(15);
  world.run_for(seconds(1));
  EXPECT_FALSE(host.up()) << "the handler of the crashed run must be gone";
}

}  // namespace
}  // namespace zferry::io
