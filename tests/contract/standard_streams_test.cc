// Standard input and output as byte streams, whatever they are: each test puts something else in their place.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/unique_fd.h"
#include "contract/host_under_test.h"
#include "contract/pump.h"

namespace zferry::io::contract {
namespace {

constexpr std::size_t kBytes = 3'000'000;

// Puts a descriptor in the place of a standard one while it lives. A number below 0: closes it.
class Swapped {
 public:
  Swapped(int standard, int fd) : standard_(standard), saved_(::fcntl(standard, F_DUPFD_CLOEXEC, 10)) {
    std::fflush(nullptr);
    fd < 0 ? ::close(standard) : ::dup2(fd, standard);
  }
  ~Swapped() { ::dup2(saved_.get(), standard_); }

 private:
  const int standard_;
  const UniqueFd saved_;
};

struct Ends {
  UniqueFd read;
  UniqueFd write;
};
Ends make_pipe() {
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// The host looks at the standard descriptors when it is made, so it is made after they were swapped.
class StandardStreams : public Contract {
 protected:
  void SetUp() override {
    if (!GetParam().real) GTEST_SKIP() << "no standard streams";
    Contract::SetUp();
  }
  void make_host_again() {
    host_.reset();
    auto host = GetParam().make(folder_ + "/state");
    ASSERT_TRUE(host.ok());
    host_ = std::move(*host);
  }
  Fault input_fault() {
    make_host_again();
    const auto stream = host_->files().standard_input();
    return stream.ok() ? Fault::kNone : stream.error().fault;
  }
  Fault output_fault() {
    make_host_again();
    const auto stream = host_->files().standard_output();
    return stream.ok() ? Fault::kNone : stream.error().fault;
  }
};
ZF_ON_EVERY_BACK_END(StandardStreams);

TEST_P(StandardStreams, InputFromAPipe) {
  Ends pipe = make_pipe();
  const Swapped swapped(STDIN_FILENO, pipe.read.get());
  pipe.read.reset();
  make_host_again();
  auto input = host_->files().standard_input();
  ASSERT_TRUE(input.ok());
  EXPECT_EQ((*input)->name(), "standard input");
  std::vector<std::byte> into(1000);
  SizeOutcome taken;
  (*input)->read(into, taken.done());
  serve_a_while();
  EXPECT_EQ(taken.calls, 0);  // an empty pipe holds up nobody
  ASSERT_EQ(::write(pipe.write.get(), "text", 4), 4);
  serve_until([&] { return taken.calls > 0; });
  EXPECT_EQ(**taken.result, 4U);
  pipe.write.reset();
  SizeOutcome last;
  EXPECT_TRUE(read_all(**input, &last).empty());
  EXPECT_TRUE(last.ok());
}

TEST_P(StandardStreams, InputThatIsDroppedTellsItsWriter) {
  Ends pipe = make_pipe();
  const Swapped swapped(STDIN_FILENO, pipe.read.get());
  pipe.read.reset();
  make_host_again();
  auto input = host_->files().standard_input();
  ASSERT_TRUE(input.ok());
  auto into = std::make_shared<std::vector<std::byte>>(1000);
  (*input)->read(*into, [into](auto) {});
  serve_a_while();
  input->reset();
  serve_a_while();
  EXPECT_EQ(::write(pipe.write.get(), "text", 4), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_P(StandardStreams, InputFromAFile) {
  const auto bytes = some_bytes(41, kBytes);
  char path[] = "/tmp/zferry-input-XXXXXX";
  const UniqueFd file(::mkostemp(path, O_CLOEXEC));
  ::unlink(path);
  ASSERT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ASSERT_EQ(::lseek(file.get(), 1000, SEEK_SET), 1000);  // from where it stands
  const Swapped swapped(STDIN_FILENO, file.get());
  make_host_again();
  auto input = host_->files().standard_input();
  ASSERT_TRUE(input.ok());
  EXPECT_EQ(read_all(**input), std::vector<std::byte>(bytes.begin() + 1000, bytes.end()));
}

TEST_P(StandardStreams, InputFromASocketOrNothing) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  UniqueFd ours(fds[0]);
  const UniqueFd other(fds[1]);
  {
    const Swapped swapped(STDIN_FILENO, other.get());
    make_host_again();
    auto input = host_->files().standard_input();
    ASSERT_TRUE(input.ok());
    ASSERT_EQ(::write(ours.get(), "text", 4), 4);
    ours.reset();
    EXPECT_EQ(as_text(read_all(**input)), "text");
  }
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const Swapped swapped(STDIN_FILENO, null.get());
  make_host_again();
  auto input = host_->files().standard_input();
  ASSERT_TRUE(input.ok());
  EXPECT_TRUE(read_all(**input).empty());
}

TEST_P(StandardStreams, OutputToAPipeNeverBlocksAndLeavesItsFlagsAlone) {
  Ends pipe = make_pipe();
  const auto bytes = some_bytes(42, kBytes);
  const UniqueFd shared(::fcntl(pipe.write.get(), F_DUPFD_CLOEXEC, 3));  // as another process would hold it
  const Swapped swapped(STDOUT_FILENO, pipe.write.get());
  pipe.write.reset();
  make_host_again();
  auto output = host_->files().standard_output();
  ASSERT_TRUE(output.ok());
  SizeOutcome written;
  (*output)->write(bytes, written.done());
  serve_a_while();
  EXPECT_EQ(written.calls, 0);  // a full pipe holds up nobody
  EXPECT_GT((*output)->unread(), 0U);
  EXPECT_EQ(::fcntl(shared.get(), F_GETFL) & O_NONBLOCK, 0);
  std::vector<std::byte> all;
  std::vector<std::byte> into(100'000);
  while (all.size() < bytes.size()) {
    serve_a_while();
    const ssize_t count = ::read(pipe.read.get(), into.data(), into.size());
    ASSERT_GT(count, 0);
    all.insert(all.end(), into.begin(), into.begin() + count);
  }
  serve_until([&] { return written.calls > 0; });
  EXPECT_TRUE(written.ok());
  EXPECT_EQ(all, bytes);
}

TEST_P(StandardStreams, OutputThatIsDroppedIsAnEndForItsReader) {
  Ends pipe = make_pipe();
  const Swapped swapped(STDOUT_FILENO, pipe.write.get());
  pipe.write.reset();
  make_host_again();
  auto output = host_->files().standard_output();
  ASSERT_TRUE(output.ok());
  SizeOutcome written;
  (*output)->write(as_bytes("text"), written.done());
  serve_until([&] { return written.calls > 0; });
  output->reset();
  char text[10];
  EXPECT_EQ(::read(pipe.read.get(), text, sizeof text), 4);
  EXPECT_EQ(::read(pipe.read.get(), text, sizeof text), 0);
}

TEST_P(StandardStreams, OutputToAPipeThatNobodyReadsFails) {
  Ends pipe = make_pipe();
  const Swapped swapped(STDOUT_FILENO, pipe.write.get());
  pipe = {};
  make_host_again();
  auto output = host_->files().standard_output();
  ASSERT_TRUE(output.ok());
  SizeOutcome written;
  (*output)->write(as_bytes("text"), written.done());
  serve_until([&] { return written.calls > 0; });
  EXPECT_EQ(written.fault(), Fault::kOutputFailed);
  EXPECT_EQ(written.what(), "write to standard output: Broken pipe");
}

TEST_P(StandardStreams, OutputToASocketAndAFullDevice) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  const UniqueFd ours(fds[0]);
  UniqueFd other(fds[1]);
  SizeOutcome written;
  const auto bytes = some_bytes(43, kBytes);
  {
    const Swapped swapped(STDOUT_FILENO, other.get());
    other.reset();
    make_host_again();
    auto output = host_->files().standard_output();
    ASSERT_TRUE(output.ok());
    (*output)->write(bytes, written.done());
    std::vector<std::byte> into(bytes.size());
    std::size_t count = 0;
    serve_until([&] {
      const ssize_t more = ::recv(ours.get(), into.data() + count, into.size() - count, MSG_DONTWAIT);
      if (more > 0) count += static_cast<std::size_t>(more);
      return written.calls > 0 && count == bytes.size();
    });
    EXPECT_TRUE(written.ok());
    EXPECT_EQ(into, bytes);
  }
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const Swapped swapped(STDOUT_FILENO, full.get());
  make_host_again();
  auto output = host_->files().standard_output();
  ASSERT_TRUE(output.ok());
  written = {};
  (*output)->write(as_bytes("text"), written.done());
  serve_until([&] { return written.calls > 0; });
  EXPECT_EQ(written.fault(), Fault::kOutputFailed);
}

TEST_P(StandardStreams, TerminalsAndClosedOnesAreUsageErrors) {
  const UniqueFd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (terminal) {
    const Swapped in(STDIN_FILENO, terminal.get());
    const Swapped out(STDOUT_FILENO, terminal.get());
    EXPECT_EQ(input_fault(), Fault::kUsage);
    EXPECT_EQ(output_fault(), Fault::kUsage);
  }
  const Swapped in(STDIN_FILENO, -1);
  const Swapped out(STDOUT_FILENO, -1);
  host_.reset();
  auto host = GetParam().make(folder_ + "/state");
  ASSERT_TRUE(host.ok());
  host_ = std::move(*host);
  const auto input = host_->files().standard_input();
  const auto output = host_->files().standard_output();
  ASSERT_FALSE(input.ok() || output.ok());
  EXPECT_EQ(input.error().fault, Fault::kUsage);
  EXPECT_EQ(output.error().fault, Fault::kUsage);
  const auto child = host_->processes().spawn({"echo", "fine"}, PipeEnd::kItsOutput);  // nothing is mixed up
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(as_text(read_all((*child)->pipe())), "fine\n");
}

}  // namespace
}  // namespace zferry::io::contract
