// The contract of io/processes.h, with real children.
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "contract/host_under_test.h"
#include "contract/pump.h"

namespace zferry::io::contract {
namespace {

class Children : public Contract {
 protected:
  void SetUp() override {
    if (!GetParam().real) GTEST_SKIP() << "no children";
    Contract::SetUp();
  }
  std::unique_ptr<Child> spawn(const std::vector<std::string>& argv, PipeEnd end) {
    auto child = host_->processes().spawn(argv, end);
    EXPECT_TRUE(child.ok()) << (child.ok() ? "" : child.error().what);
    return child.ok() ? std::move(*child) : nullptr;
  }
  std::unique_ptr<Child> shell(const std::string& script, PipeEnd end = PipeEnd::kItsOutput) {
    return spawn({"sh", "-c", script}, end);
  }
  std::string exit_of(Child& child) {
    std::string text;
    int calls = 0;
    child.on_exit([&](ExitStatus status) {
      text = status.text();
      ++calls;
    });
    EXPECT_EQ(calls, 0);
    serve_until([&] { return calls > 0; });
    serve_a_while();
    EXPECT_EQ(calls, 1);
    return text;
  }
  std::string output_of(Child& child) {
    const auto bytes = read_all(child.pipe());
    return std::string(as_text(bytes));
  }
};
ZF_ON_EVERY_BACK_END(Children);

TEST_P(Children, TellTheirExitCode) {
  EXPECT_EQ(exit_of(*spawn({"true"}, PipeEnd::kItsOutput)), "exit code 0");
  EXPECT_EQ(exit_of(*shell("exit 3")), "exit code 3");
  const auto gone = shell("exit 4");
  EXPECT_EQ(output_of(*gone), "");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // surely gone, and nobody asked yet
  EXPECT_EQ(exit_of(*gone), "exit code 4");
}

TEST_P(Children, TellTheSignalThatEndedThem) {
  const auto sleeper = spawn({"sleep", "100"}, PipeEnd::kItsOutput);
  sleeper->send_signal(SIGKILL);
  EXPECT_EQ(exit_of(*sleeper), "signal 9 (Killed)");
  sleeper->send_signal(SIGTERM);  // to nobody: ignored
}

TEST_P(Children, ACommandThatIsNotThereCannotRun) {
  auto child = host_->processes().spawn({"zferry-no-such-command", "x"}, PipeEnd::kItsOutput);
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().fault, Fault::kCannotRun);
  EXPECT_EQ(child.error().what, "run zferry-no-such-command: No such file or directory");
  child = host_->processes().spawn({"/etc/passwd"}, PipeEnd::kItsInput);
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().what, "run /etc/passwd: Permission denied");
  EXPECT_FALSE(host_->processes().spawn({}, PipeEnd::kItsInput).ok());
}

TEST_P(Children, AProducersOutputComesWholeAndArgumentsArePassedUnchanged) {
  const auto bytes = some_bytes(21, 5'000'000);
  const std::string path = folder_ + "/a file; with $(odd) 'name'";
  {
    auto file = host_->files().create(path);
    ASSERT_TRUE(file.ok());
    SizeOutcome written;
    StatusOutcome committed;
    (*file)->stream().write(bytes, written.done());
    serve_until([&] { return written.calls > 0; });
    (*file)->commit(committed.done());
    serve_until([&] { return committed.calls > 0; });
  }
  const auto producer = spawn({"cat", path}, PipeEnd::kItsOutput);
  Drain drain(producer->pipe(), bytes, 22, 300'000);
  drain.start();
  serve_until([&] { return drain.over(); });
  EXPECT_EQ(drain.equal_bytes(), bytes.size());
  EXPECT_EQ(exit_of(*producer), "exit code 0");
}

TEST_P(Children, AProducerHasNoInputOfOurs) {
  const auto producer = shell("readlink /proc/self/fd/0; wc -c");
  EXPECT_EQ(output_of(*producer), "/dev/null\n0\n");
}

TEST_P(Children, HaveNoDescriptorsOfOurs) {
  // Whoever runs the tests may pass descriptors on to every child; what we open must not be among them.
  const auto links = [&] {
    return output_of(*shell("exec ls -l /proc/self/fd | grep -c -e socket: -e anon_inode: -e pipe:"));
  };
  const std::string before = links();
  const StreamPair pair = connected_pair();
  const auto other = shell("sleep 100", PipeEnd::kItsInput);
  const auto file = host_->files().create(folder_ + "/file");
  EXPECT_EQ(links(), before);
}

TEST_P(Children, AConsumerReadsWhatWasWrittenUntilThePipeIsClosed) {
  const auto bytes = some_bytes(23, 5'000'000);
  const std::string path = folder_ + "/consumed";
  const auto consumer = shell("cat > " + path + "; exit 5", PipeEnd::kItsInput);
  Pump pump(consumer->pipe(), bytes, 24, 600'000);
  pump.start();
  serve_until([&] { return pump.over(); });
  EXPECT_FALSE(pump.failed());
  consumer->close_pipe();
  EXPECT_EQ(exit_of(*consumer), "exit code 5");
  EXPECT_EQ(std::filesystem::file_size(path), bytes.size());
  const auto check = spawn({"cat", path}, PipeEnd::kItsOutput);
  EXPECT_EQ(read_all(check->pipe()), bytes);
}

TEST_P(Children, AConsumersOutputIsOurStandardError) {
  const auto consumer = shell("test \"$(readlink /proc/$$/fd/1)\" = \"$(readlink /proc/$$/fd/2)\"", PipeEnd::kItsInput);
  EXPECT_EQ(exit_of(*consumer), "exit code 0");
}

TEST_P(Children, WhatAConsumerDidNotTakeIsKnownEvenAfterItsExit) {
  const auto bytes = some_bytes(25, 100'000);
  const auto consumer = spawn({"head", "-c", "0"}, PipeEnd::kItsInput);
  SizeOutcome written;
  consumer->pipe().write(bytes, written.done());
  serve_until([&] { return written.calls > 0; });
  // Either head was still there and took nothing of what was written, or it had gone before.
  EXPECT_EQ(exit_of(*consumer), "exit code 0");
  EXPECT_EQ(consumer->pipe().unread(), written.ok() ? bytes.size() : 0);

  const auto sleeper = shell("sleep 100; cat", PipeEnd::kItsInput);
  EXPECT_EQ(sleeper->pipe().unread(), 0U);
  written = {};
  sleeper->pipe().write(bytes, written.done());
  serve_until([&] { return written.calls > 0; });
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(sleeper->pipe().unread(), bytes.size());
  sleeper->send_signal(SIGKILL);
  EXPECT_EQ(exit_of(*sleeper), "signal 9 (Killed)");
  EXPECT_EQ(sleeper->pipe().unread(), bytes.size());  // the reader is gone, the bytes are not
}

TEST_P(Children, WritingToAConsumerThatWentIsAFailedOutput) {
  const auto bytes = some_bytes(26, 10);
  const auto consumer = spawn({"true"}, PipeEnd::kItsInput);
  EXPECT_EQ(exit_of(*consumer), "exit code 0");
  SizeOutcome written;
  consumer->pipe().write(bytes, written.done());
  serve_until([&] { return written.calls > 0; });
  EXPECT_EQ(written.fault(), Fault::kOutputFailed);
  EXPECT_EQ(written.what(), "write to the input of true: Broken pipe");
}

TEST_P(Children, AConsumerThatGoesDuringALongWriteFailsIt) {
  const auto bytes = some_bytes(27, 10'000'000);
  const auto consumer = shell("exec head -c 3000000 > /dev/null", PipeEnd::kItsInput);
  SizeOutcome written;
  consumer->pipe().write(bytes, written.done());
  serve_until([&] { return written.calls > 0; });
  EXPECT_EQ(written.fault(), Fault::kOutputFailed);
}

TEST_P(Children, HaveTheirSignalsAtTheDefaults) {
  // `yes` must die of SIGPIPE though we ignore it.
  const auto producer = spawn({"yes"}, PipeEnd::kItsOutput);
  std::vector<std::byte> into(10);
  SizeOutcome taken;
  producer->pipe().read(into, taken.done());
  serve_until([&] { return taken.calls > 0; });
  producer->close_pipe();
  EXPECT_EQ(exit_of(*producer), "signal 13 (Broken pipe)");
}

TEST_P(Children, AreInAProcessGroupOfTheirOwnWhichSignalsReachWhole) {
  const auto producer = shell("sleep 100 & echo started; wait");
  std::vector<std::byte> into(10);
  SizeOutcome taken;
  producer->pipe().read(into, taken.done());
  serve_until([&] { return taken.calls > 0; });
  producer->send_signal(SIGTERM);
  EXPECT_EQ(output_of(*producer), "");  // an end only comes when sleep, too, has let go of the pipe
  EXPECT_EQ(exit_of(*producer), "signal 15 (Terminated)");
}

TEST_P(Children, DestroyedOnesAreToldToEnd) {
  const std::string path = folder_ + "/told";
  auto child = shell("trap 'echo > " + path + "; exit' TERM; echo ready; while :; do sleep 0.01; done");
  std::vector<std::byte> into(10);
  SizeOutcome taken;
  child->pipe().read(into, taken.done());
  serve_until([&] { return taken.calls > 0; });
  int calls = 0;
  child->on_exit([&](ExitStatus) { ++calls; });
  child.reset();
  serve_until([&] { return std::filesystem::exists(path); });
  serve_a_while();
  EXPECT_EQ(calls, 0);
}

TEST_P(Children, AreDestroyedInsideTheirOwnCompletion) {
  auto child = shell("exit 6");
  int code = -1;
  child->on_exit([&](ExitStatus status) {
    child.reset();
    code = status.number;
  });
  serve_until([&] { return code >= 0; });
  EXPECT_EQ(code, 6);
}

TEST_P(Children, AreWaitedForWithoutPidfdToo) {
  ::setenv("ZFERRY_TEST_NO_PIDFD", "1", 1);
  EXPECT_EQ(exit_of(*shell("exit 7")), "exit code 7");
  const auto slow = shell("sleep 0.05; exit 8");
  EXPECT_EQ(exit_of(*slow), "exit code 8");
  auto dropped = shell("exec sleep 100");
  dropped->on_exit([](ExitStatus) { FAIL() << "of a child that is gone"; });
  dropped.reset();
  ::unsetenv("ZFERRY_TEST_NO_PIDFD");
  serve_a_while();
}

TEST_P(Children, TheirPipeIsLongWhereTheSystemAllowsIt) {
  const auto bytes = some_bytes(28, 60'000);  // fits any pipe
  const auto child = shell("sleep 100", PipeEnd::kItsInput);
  SizeOutcome written;
  child->pipe().write(bytes, written.done());
  serve_until([&] { return written.calls > 0; });
  EXPECT_TRUE(written.ok());
}

}  // namespace
}  // namespace zferry::io::contract
