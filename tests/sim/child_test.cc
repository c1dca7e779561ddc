// Scripted children and the simulated disk behave as processes and files do.
#include <gtest/gtest.h>

#include <csignal>

#include "sim_traffic.h"

namespace zferry::io {
namespace {

// A host with one child of each kind to be.
struct Machine {
  SimWorld world;
  SimHost& host;
  std::unique_ptr<Child> child{};
  std::optional<ExitStatus> exit{};

  explicit Machine(std::uint64_t seed) : world(seed), host(world.add_host("host")) {}
  ByteStream& start(SimProgram program) {
    PipeEnd end = std::holds_alternative<SimConsumer>(program) ? PipeEnd::kItsInput : PipeEnd::kItsOutput;
    host.add_program("child", std::move(program));
    child = std::move(host.processes().spawn({"child", "-v"}, end)).value();
    child->on_exit([this](ExitStatus status) { exit = status; });
    return child->pipe();
  }
  bool run_to_exit() {
    return world.run_until([this] { return exit.has_value(); }, hours(1));
  }
};

TEST(Producer, GivesItsBytesAndExits) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Machine machine(seed);
    std::vector<std::byte> bytes = random_bytes(150'000, seed);
    SimProducer script{
        .source = sim_source(bytes), .chunk_bytes_max = 1 + seed * 1000, .exit = {false, static_cast<int>(seed % 2)}};
    Receiver receiver(machine.start(script), seed);
    receiver.go();
    ASSERT_TRUE(machine.run_to_exit());
    ASSERT_TRUE(machine.world.run_until([&] { return receiver.done(); }, hours(1)));
    ASSERT_EQ(receiver.bytes, bytes);
    EXPECT_EQ(machine.exit->number, static_cast<int>(seed % 2));
    EXPECT_TRUE(machine.host.last_child().saw_end);
    EXPECT_EQ(machine.host.last_child().argv, (std::vector<std::string>{"child", "-v"}));
  }
}

TEST(Producer, WaitsForItsReader) {
  Machine machine(1);
  ByteStream& pipe = machine.start(SimProducer{.source = sim_source(random_bytes(150'000, 1)), .pipe_bytes = 5000});
  machine.world.run_for(hours(1));
  EXPECT_EQ(machine.host.last_child().bytes, 5000u);
  EXPECT_EQ(pipe.unread(), 5000u);
  EXPECT_FALSE(machine.exit.has_value());
}

TEST(Producer, StopsWhereToldOrAtAClosedPipe) {
  Machine machine(2);
  SimProducer script{
      .source = sim_source(random_bytes(150'000, 1)), .stop_after_bytes = 70'001, .stop_exit = {true, SIGSEGV}};
  Receiver receiver(machine.start(script), 1);
  receiver.go();
  ASSERT_TRUE(machine.world.run_until([&] { return receiver.done() && machine.exit; }, hours(1)));
  EXPECT_EQ(receiver.bytes.size(), 70'001u);
  EXPECT_TRUE(machine.exit->by_signal);
  EXPECT_EQ(machine.exit->number, SIGSEGV);

  Machine other(3);
  other.start(SimProducer{.source = sim_source(random_bytes(150'000, 1))});
  other.child->close_pipe();
  ASSERT_TRUE(other.run_to_exit());
  EXPECT_TRUE(other.exit->by_signal);
  EXPECT_EQ(other.exit->number, SIGPIPE);
}

TEST(Consumer, TakesEverythingAndExits) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Machine machine(seed);
    SimConsumer script{
        .pipe_bytes = 1000 + seed * 1000, .bytes_per_second = seed * 1'000'000, .exit_delay = seconds(1)};
    std::uint64_t seen = 0;
    script.on_bytes = [&](std::uint64_t offset, ConstBytes piece) {
      EXPECT_EQ(offset, seen);
      seen += piece.size();
    };
    Sender sender(machine.start(script), random_bytes(150'000, seed), seed);
    sender.go();
    ASSERT_TRUE(machine.world.run_until([&] { return sender.done; }, hours(1)));
    EXPECT_FALSE(machine.host.last_child().saw_end);
    TimePoint closed = machine.world.now();
    machine.child->close_pipe();
    ASSERT_TRUE(machine.run_to_exit());
    const SimChildRecord& record = machine.host.last_child();
    EXPECT_GE(machine.world.now() - closed, seconds(1));
    EXPECT_TRUE(machine.exit->success());
    EXPECT_TRUE(record.succeeded() && record.saw_end);
    ASSERT_EQ(record.content, sender.bytes);
    EXPECT_EQ(seen, sender.bytes.size());
    EXPECT_EQ(record.unread_at_exit, 0u);
  }
}

TEST(Consumer, StopsEarlyAndBreaksThePipe) {
  Machine machine(4);
  ByteStream& pipe =
      machine.start(SimConsumer{.pipe_bytes = 8000, .stop_after_bytes = 50'000, .stop_exit = {false, 3}});
  Sender sender(pipe, random_bytes(150'000, 1), 1);
  sender.go();
  ASSERT_TRUE(machine.world.run_until([&] { return sender.done && machine.exit; }, hours(1)));
  EXPECT_EQ(sender.fault, Fault::kOutputFailed);
  EXPECT_EQ(machine.exit->number, 3);
  const SimChildRecord& record = machine.host.last_child();
  EXPECT_EQ(record.bytes, 50'000u);
  EXPECT_FALSE(record.saw_end);
  EXPECT_EQ(pipe.unread(), record.unread_at_exit);
}

TEST(Consumer, LeavesUnreadWhatItDidNotTake) {
  Machine machine(5);
  ByteStream& pipe = machine.start(SimConsumer{.bytes_per_second = 1'000'000, .stop_after_bytes = 900});
  auto bytes = std::make_shared<std::vector<std::byte>>(1000);
  bool written = false;
  pipe.write(*bytes, [&, bytes](Result<std::size_t> result) { written = result.ok(); });
  ASSERT_TRUE(machine.run_to_exit());
  EXPECT_TRUE(written);
  EXPECT_EQ(pipe.unread(), 100u);
  // An end that the consumer never saw changes nothing.
  EXPECT_EQ(machine.host.last_child().unread_at_exit, 100u);
}

TEST(Consumer, StallsAndDecides) {
  Machine machine(6);
  SimConsumer script{.stall_after_bytes = 1000, .stall = seconds(100)};
  script.exit_when = [](const SimChildRecord& record) -> std::optional<ExitStatus> {
    if (record.bytes < 2000) return std::nullopt;
    return ExitStatus{false, 42};
  };
  Sender sender(machine.start(script), random_bytes(150'000, 1), 1);
  sender.go();
  machine.world.run_for(seconds(99));
  EXPECT_EQ(machine.host.last_child().bytes, 1000u);
  EXPECT_FALSE(sender.done);
  ASSERT_TRUE(machine.run_to_exit());
  EXPECT_EQ(machine.exit->number, 42);
}

TEST(Children, SignalsReachThem) {
  Machine machine(7);
  machine.start(SimConsumer{.ignores_sigterm = true});
  machine.child->send_signal(SIGTERM);
  machine.world.run_for(seconds(1));
  EXPECT_FALSE(machine.exit.has_value());
  machine.child->send_signal(SIGKILL);
  ASSERT_TRUE(machine.run_to_exit());
  EXPECT_EQ(machine.exit->number, SIGKILL);
  EXPECT_EQ(machine.host.last_child().signals, (std::vector<int>{SIGTERM, SIGKILL}));
  // on_exit of a child that is gone already still calls, but from the loop.
  std::optional<ExitStatus> again;
  machine.child->on_exit([&](ExitStatus status) { again = status; });
  EXPECT_FALSE(again.has_value());
  machine.world.run_for(seconds(1));
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->by_signal);
}

TEST(Children, DestroyingTheChildTerminatesIt) {
  Machine machine(8);
  machine.start(SimProducer{.source = [](std::uint64_t, Bytes into) { return into.size(); }});
  machine.child.reset();
  machine.world.run_for(seconds(1));
  EXPECT_FALSE(machine.exit.has_value());
  const SimChildRecord& record = machine.host.last_child();
  EXPECT_TRUE(record.exited && record.status.by_signal);
  EXPECT_TRUE(record.status.number == SIGTERM || record.status.number == SIGPIPE);
}

TEST(Children, UnknownOrMisplacedOnesCannotRun) {
  SimWorld world(9);
  SimHost& host = world.add_host("host");
  host.add_program("producer", SimProducer{});
  EXPECT_EQ(host.processes().spawn({"nothing"}, PipeEnd::kItsInput).error().fault, Fault::kCannotRun);
  EXPECT_EQ(host.processes().spawn({}, PipeEnd::kItsInput).error().fault, Fault::kCannotRun);
  EXPECT_EQ(host.processes().spawn({"producer"}, PipeEnd::kItsInput).error().fault, Fault::kCannotRun);
  EXPECT_EQ(host.child_count(), 0u);
}

TEST(Children, SeeTheirPipeEndWhenTheHostsProgramCrashes) {
  for (SimCrash how : {SimCrash::kKilled, SimCrash::kReset, SimCrash::kSilence, SimCrash::kPowerLoss}) {
    Machine machine(10);
    SimConsumer script{.bytes_per_second = 1'000'000};
    script.exit_after_end = [](const SimChildRecord& record) {
      return ExitStatus{false, record.bytes == 150'000 ? 0 : 9};
    };
    Sender sender(machine.start(script), random_bytes(150'000, 1), 1);
    sender.go();
    machine.host.add_program("producer", SimProducer{.source = [](std::uint64_t, Bytes into) { return into.size(); }});
    auto producer = std::move(machine.host.processes().spawn({"producer"}, PipeEnd::kItsOutput)).value();
    machine.world.run_for(milliseconds(20));
    machine.host.crash(how);
    std::uint64_t at_crash = machine.host.child(0).bytes;
    machine.world.run_for(seconds(10));
    const SimChildRecord& record = machine.host.child(0);
    EXPECT_TRUE(record.exited && machine.host.child(1).exited);
    EXPECT_FALSE(machine.exit.has_value());
    if (how == SimCrash::kPowerLoss) {
      EXPECT_TRUE(record.powered_off && machine.host.child(1).powered_off);
      EXPECT_EQ(record.bytes, at_crash);
      EXPECT_FALSE(record.saw_end || record.succeeded());
    } else {
      EXPECT_GT(record.bytes, at_crash) << "what was in the pipe is still read";
      EXPECT_TRUE(record.saw_end);
      EXPECT_EQ(record.status.number, 9);
      EXPECT_EQ(machine.host.child(1).status.number, SIGPIPE);
    }
  }
}

TEST(Standard, StreamsAreScripted) {
  SimWorld world(11);
  SimHost& host = world.add_host("host");
  std::vector<std::byte> bytes = random_bytes(100'000, 1);
  host.set_standard_input(SimProducer{.source = sim_source(bytes), .stream_fails_after_bytes = 60'000});
  host.set_standard_output(SimConsumer{.stream_fails_after_bytes = 70'000});
  auto input = std::move(host.files().standard_input()).value();
  auto output = std::move(host.files().standard_output()).value();
  EXPECT_EQ(input->name(), "standard input");
  Receiver receiver(*input, 1);
  Sender sender(*output, bytes, 1);
  receiver.go(), sender.go();
  ASSERT_TRUE(world.run_until([&] { return receiver.done() && sender.done; }, hours(1)));
  EXPECT_EQ(receiver.fault, Fault::kInputFailed);
  EXPECT_EQ(receiver.bytes.size(), 60'000u);
  EXPECT_EQ(sender.fault, Fault::kOutputFailed);
  output.reset();
  world.run_for(seconds(1));
  EXPECT_EQ(host.standard_output().content.size(), 70'000u);
  EXPECT_TRUE(host.standard_output().saw_end);
}

TEST(Disk, StateSurvivesACrashAndFailsWhenTold) {
  SimWorld world(12);
  SimHost& host = world.add_host("host");
  EXPECT_EQ(host.files().state().save("early", as_bytes("x")).error().fault, Fault::kStateFailed);
  ASSERT_TRUE(host.files().state().prepare().ok());
  host.disk().save_fails_at = host.disk().saves + 2;
  EXPECT_TRUE(host.files().state().save("one", as_bytes("first")).ok());
  EXPECT_EQ(host.files().state().save("two", as_bytes("second")).error().fault, Fault::kStateFailed);
  EXPECT_TRUE(host.files().state().save("three", as_bytes("third")).ok());
  host.crash();
  EXPECT_FALSE(host.files().state().save("dead", as_bytes("x")).ok());
  host.restart();
  StateFolder& state = host.files().state();
  EXPECT_EQ(as_text(**state.load("one")), "first");
  EXPECT_FALSE(state.load("two").value().has_value());
  EXPECT_FALSE(state.load("dead").value().has_value());
  EXPECT_TRUE(state.remove("one").ok());
  EXPECT_TRUE(state.remove("one").ok());
  EXPECT_FALSE(state.load("one").value().has_value());
  host.disk().load_fails = true;
  EXPECT_EQ(state.load("three").error().fault, Fault::kStateFailed);
}

TEST(Disk, CrashAroundASave) {
  for (bool before : {true, false}) {
    SimWorld world(13);
    SimHost& host = world.add_host("host");
    ASSERT_TRUE(host.files().state().prepare().ok());
    (before ? host.disk().before_save : host.disk().after_save) = [&](const std::string&) { host.crash(); };
    EXPECT_FALSE(host.files().state().save("record", as_bytes("x")).ok());
    EXPECT_EQ(host.disk().records.count("record"), before ? 0u : 1u);
  }
}

TEST(Disk, OutputAppearsWholeOrNotAtAll) {
  enum class Case { kGood, kFull, kCommitFails, kDropped, kCrash };
  for (Case which : {Case::kGood, Case::kFull, Case::kCommitFails, Case::kDropped, Case::kCrash}) {
    SimWorld world(14);
    SimHost& host = world.add_host("host");
    host.disk().files["/out"] = {std::byte{1}};
    if (which == Case::kFull) host.disk().full_after_bytes = 30'000;
    host.disk().commit_fails = which == Case::kCommitFails;
    if (which == Case::kCrash) host.disk().before_commit = [&](const std::string&) { host.crash(); };
    auto file = std::move(host.files().create("/out")).value();
    Sender sender(file->stream(), random_bytes(100'000, 1), 1);
    sender.go();
    ASSERT_TRUE(world.run_until([&] { return sender.done; }, seconds(1)));
    EXPECT_EQ(sender.fault, which == Case::kFull ? Fault::kOutputFailed : Fault::kNone);
    EXPECT_EQ(host.disk().files["/out"].size(), 1u);
    if (which == Case::kFull || which == Case::kDropped) {
      file.reset();
      world.run_for(seconds(1));
      EXPECT_EQ(host.disk().files["/out"].size(), 1u);
      continue;
    }
    std::optional<Fault> committed;
    file->commit([&](Status status) { committed = status.ok() ? Fault::kNone : status.error().fault; });
    EXPECT_FALSE(committed.has_value());
    world.run_for(seconds(1));
    EXPECT_EQ(committed.has_value(), which != Case::kCrash);
    if (committed) {
      EXPECT_EQ(*committed, which == Case::kGood ? Fault::kNone : Fault::kOutputFailed);
    }
    if (which == Case::kGood) {
      EXPECT_EQ(host.disk().files["/out"], sender.bytes);
    } else {
      EXPECT_EQ(host.disk().files["/out"].size(), 1u);
    }
  }
  SimWorld world(15);
  SimHost& host = world.add_host("host");
  host.disk().create_fails = true;
  EXPECT_EQ(host.files().create("/out").error().fault, Fault::kOutputFailed);
}

}  // namespace
}  // namespace zferry::io
