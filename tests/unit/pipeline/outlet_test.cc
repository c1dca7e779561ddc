// The outlet withholds what it must, to the byte; a consumer's exit is judged as the table says, whatever it does.
#include "pipeline/outlet.h"

#include <gtest/gtest.h>

#include <csignal>

#include "unit/pipeline/fake_destination.h"
#include "unit/pipeline/machine.h"

namespace zferry::pipeline {
namespace {

using namespace testing;

flow::Slice slice_of(flow::BufferPool& pool, ConstBytes bytes) {
  flow::Buffer buffer = pool.take();
  ZF_ASSERT(buffer);
  std::copy(bytes.begin(), bytes.end(), buffer->begin());
  return {buffer, ConstBytes(*buffer).first(bytes.size())};
}

// An END record is 312 bytes long, and no consumer may see the last one before release().
static_assert(limits::kTailBytes >= 312);

TEST(Outlet, TheTailIsWithheldToTheByte) {
  OneMachine one(80);
  SeededRandom& random = one.machine.random;
  std::size_t compared = 0;
  for (int round = 0; round < 60; ++round) {
    auto end = std::make_shared<FakeEnd>();
    flow::BufferPool pool(200, 4096);
    std::optional<wire::Completion> finished;
    Outlet outlet(std::make_unique<FakeDestination>(one.host().loop, end), limits::kTailBytes,
                  {[] {}, [](const Error&) { ADD_FAILURE(); }, [&](wire::Completion how) { finished = how; }});
    std::vector<std::byte> stream;
    for (std::uint64_t pieces = random.below(40); pieces > 0; --pieces) {
      std::vector<std::byte> bytes = random_bytes(random, 1 + random.below(round % 3 == 0 ? 20 : 1500));
      stream.insert(stream.end(), bytes.begin(), bytes.end());
      outlet.write(slice_of(pool, bytes));
      if (random.chance(0.5)) one.world.run_for(milliseconds(1));
      std::size_t may = stream.size() - std::min(stream.size(), limits::kTailBytes);
      ASSERT_LE(end->wire->written.size(), may);
    }
    one.world.run_for(seconds(1));
    EXPECT_EQ(end->wire->written.size(), stream.size() - std::min(stream.size(), limits::kTailBytes));
    EXPECT_EQ(outlet.written_bytes(), end->wire->written.size());
    EXPECT_EQ(outlet.settled_bytes(), stream.size());
    EXPECT_EQ(pool.free_buffers(), 200u) << "what is withheld holds no block's memory";
    EXPECT_EQ(end->finished, 0);
    outlet.release();
    one.world.run_for(seconds(1));
    EXPECT_EQ(end->wire->written, stream);
    EXPECT_TRUE(finished);
    EXPECT_EQ(end->finished, 1);
    compared += stream.size();
  }
  EXPECT_GT(compared, 100'000u);
}

TEST(Outlet, AnEndThatTheDestinationRefusesIsAFailure) {
  OneMachine one(81);
  auto end = std::make_shared<FakeEnd>();
  end->how = Error{Fault::kOutputFailed, "rename", {}};
  std::optional<Error> failed;
  Outlet outlet(std::make_unique<FakeDestination>(one.host().loop, end), limits::kTailBytes,
                {[] {}, [&](Error why) { failed = std::move(why); }, [](wire::Completion) { ADD_FAILURE(); }});
  outlet.release();
  one.world.run_for(seconds(1));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault, Fault::kOutputFailed);
}

TEST(Outlet, NothingFollowsAnEarlyEnd) {
  OneMachine one(82);
  auto end = std::make_shared<FakeEnd>();
  flow::BufferPool pool(4, 4096);
  int failures = 0;
  Outlet outlet(std::make_unique<FakeDestination>(one.host().loop, end), limits::kTailBytes,
                {[] {}, [&](const Error&) { ++failures; }, [](wire::Completion) { ADD_FAILURE(); }});
  end->wire->hold_writes = true;
  outlet.write(slice_of(pool, random_bytes(one.machine.random, 4000)));
  one.world.run_for(seconds(1));
  std::size_t before = end->wire->written.size();
  end->leave({Fault::kConsumerFailed, "gone", {}});
  end->wire->hold_writes = false;
  end->wire->wake();
  outlet.write(slice_of(pool, random_bytes(one.machine.random, 4000)));
  outlet.release();
  one.world.run_for(seconds(1));
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(end->wire->written.size(), before);
  EXPECT_EQ(end->finished, 0);
}

// A consumer as a simulated child, and how the stream ended at it.
struct Consumed {
  std::optional<Fault> fault;
  std::string what;
  bool gone = false;
  const io::SimChildRecord* child = nullptr;
};
Consumed consume(OneMachine& one, const io::SimConsumer& consumer, const std::vector<std::byte>& stream,
                 bool release = true) {
  one.machine.sim.add_program("zfs", io::SimProgram(consumer));
  TargetSettings settings;
  settings.consumer = {"zfs", "receive", "pool/vm"};
  settings.consumer_grace = seconds(3);
  Consumed consumed;
  auto destination = open_destination(one.host(), settings);
  EXPECT_TRUE(destination.ok());
  flow::BufferPool pool(300, 4096);
  Outlet outlet(std::move(*destination), limits::kTailBytes,
                {[] {},
                 [&](const Error& why) {
                   EXPECT_FALSE(consumed.fault);
                   consumed.fault = why.fault;
                   consumed.what = why.what;
                 },
                 [&](wire::Completion how) {
                   EXPECT_FALSE(consumed.fault);
                   EXPECT_EQ(how, wire::Completion::kApplied);
                   consumed.fault = Fault::kNone;
                 }});
  for (std::size_t at = 0; at < stream.size(); at += 4096)
    outlet.write(slice_of(pool, ConstBytes(stream).subspan(at, std::min<std::size_t>(4096, stream.size() - at))));
  one.world.run_for(seconds(5));
  if (release) {
    outlet.release();
    EXPECT_TRUE(one.world.run_until([&] { return consumed.fault.has_value(); }, seconds(60)));
  }
  if (consumed.fault != Fault::kNone) {
    outlet.drop([&] { consumed.gone = true; });
    EXPECT_TRUE(one.world.run_until([&] { return consumed.gone; }, seconds(60)));
  }
  consumed.child = &one.machine.sim.last_child();
  return consumed;
}

class Consumers : public ::testing::Test {
 protected:
  OneMachine one{90};
  std::vector<std::byte> stream = random_bytes(one.machine.random, 300'000);
};

TEST_F(Consumers, WhoTakesAllAndExitsWell) {
  Consumed consumed = consume(one, {.exit_delay = seconds(20)}, stream);
  EXPECT_EQ(consumed.fault, Fault::kNone);
  EXPECT_EQ(consumed.child->content, stream);
}

TEST_F(Consumers, WhoExitsWellBeforeTheEnd) {
  Consumed consumed = consume(one, {.stop_after_bytes = 100'000, .stop_exit = {false, 0}}, stream);
  EXPECT_EQ(consumed.fault, Fault::kConsumerFailed) << consumed.what;
}

TEST_F(Consumers, WhoExitsWellWithAllButTheTail) {
  Consumed consumed =
      consume(one, {.stop_after_bytes = stream.size() - limits::kTailBytes, .stop_exit = {false, 0}}, stream, false);
  EXPECT_EQ(consumed.fault, Fault::kConsumerFailed) << consumed.what;
}

TEST_F(Consumers, WhoFailsBeforeTheEnd) {
  Consumed consumed = consume(one, {.stop_after_bytes = 100'000, .stop_exit = {false, 1}}, stream);
  EXPECT_EQ(consumed.fault, Fault::kConsumerFailed);
  EXPECT_NE(consumed.what.find("exit code 1"), std::string::npos) << consumed.what;
}

TEST_F(Consumers, WhoFailsAtTheEnd) {
  Consumed consumed = consume(one, {.exit = {false, 2}}, stream);
  EXPECT_EQ(consumed.fault, Fault::kConsumerFailed);
  EXPECT_NE(consumed.what.find("exit code 2"), std::string::npos) << consumed.what;
  EXPECT_EQ(consumed.child->bytes, stream.size());
}

TEST_F(Consumers, WhoIsKilledAtTheEnd) {
  Consumed consumed = consume(one, {.exit = {true, SIGKILL}}, stream);
  EXPECT_EQ(consumed.fault, Fault::kConsumerFailed);
  EXPECT_NE(consumed.what.find("signal 9"), std::string::npos) << consumed.what;
}

// It read up to a place in the last bytes, exits with code 0, and the rest stays in its pipe.
TEST_F(Consumers, WhoExitsWellAndLeavesBytesUnread) {
  for (std::size_t left : {1, 100, 623}) {
    Consumed consumed = consume(one, {.stop_after_bytes = stream.size() - left, .stop_exit = {false, 0}}, stream);
    EXPECT_EQ(consumed.fault, Fault::kConsumerFailed) << left;
    EXPECT_EQ(consumed.child->unread_at_exit, left);
  }
}

TEST_F(Consumers, WhoIsDroppedSeesItsInputEndWithoutTheTail) {
  Consumed consumed = consume(one, {.exit = {false, 1}}, stream, false);
  EXPECT_TRUE(consumed.gone);
  EXPECT_TRUE(consumed.child->saw_end);
  EXPECT_EQ(consumed.child->bytes, stream.size() - limits::kTailBytes);
  EXPECT_TRUE(consumed.child->signals.empty());
}

TEST_F(Consumers, WhoHangsWhenDroppedIsSignalled) {
  io::SimConsumer stubborn;
  stubborn.exit_delay = hours(1);
  stubborn.ignores_sigterm = true;
  Consumed consumed = consume(one, stubborn, stream, false);
  EXPECT_TRUE(consumed.gone);
  EXPECT_EQ(consumed.child->signals, (std::vector<int>{SIGTERM, SIGKILL}));
}

TEST(Destinations, FilesAppearWholeOrNotAtAll) {
  OneMachine one(91);
  std::vector<std::byte> stream = random_bytes(one.machine.random, 2000);
  TargetSettings settings;
  settings.out_path = "/backup/vm.zfs";
  for (bool release : {false, true}) {
    flow::BufferPool pool(4, 4096);
    std::optional<wire::Completion> finished;
    Outlet outlet(std::move(open_destination(one.host(), settings)).value(), limits::kTailBytes,
                  {[] {}, [](const Error&) { ADD_FAILURE(); }, [&](wire::Completion how) { finished = how; }});
    outlet.write(slice_of(pool, stream));
    one.world.run_for(seconds(1));
    EXPECT_TRUE(one.machine.sim.disk().files.empty());
    bool gone = false;
    release ? outlet.release() : outlet.drop([&] { gone = true; });
    one.world.run_for(seconds(1));
    EXPECT_EQ(gone, !release);
    if (release) {
      EXPECT_EQ(finished, wire::Completion::kDelivered);
    }
  }
  EXPECT_EQ(one.machine.sim.disk().files["/backup/vm.zfs"], stream);
}

TEST(Destinations, HaveNamesOfTheirOwn) {
  TargetSettings settings;
  std::vector<std::string> names{destination_name(settings)};
  settings.out_path = "/a b";
  names.push_back(destination_name(settings));
  for (std::vector<std::string> argv : {std::vector<std::string>{"a b"}, {"a", "b"}, {"a", "b", ""}, {"ab"}}) {
    settings.consumer = argv;
    names.push_back(destination_name(settings));
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
  EXPECT_EQ(names.size(), 6u);
}

TEST(Destinations, AConsumerThatIsNotThereCannotRun) {
  OneMachine one(92);
  TargetSettings settings;
  settings.consumer = {"nothing"};
  auto made = open_destination(one.host(), settings);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().fault, Fault::kCannotRun);
}

}  // namespace
}  // namespace zferry::pipeline
