#include "contract/host_under_test.h"

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "contract/sim_back_end.h"
#include "io/posix_host.h"

namespace zferry::io::contract {

namespace {

constexpr std::chrono::seconds kUnreasonablyLong{60};

class Posix final : public HostUnderTest {
 public:
  explicit Posix(std::unique_ptr<PosixHost> host) : host_(std::move(host)) {}
  Loop& loop() override { return host_->loop(); }
  Network& network() override { return host_->network(); }
  Processes& processes() override { return host_->processes(); }
  Files& files() override { return host_->files(); }
  void run() override { host_->run(); }
  void stop() override { host_->stop(); }

 private:
  std::unique_ptr<PosixHost> host_;
};

BackEnd posix(const std::string& name, Backend backend) {
  return {name, true, [backend](const std::string& state_folder) -> Result<std::unique_ptr<HostUnderTest>> {
            auto host = PosixHost::create({backend, state_folder});
            if (!host.ok()) return host.take_error();
            return std::unique_ptr<HostUnderTest>(std::make_unique<Posix>(std::move(*host)));
          }};
}

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

}  // namespace

std::vector<BackEnd> back_ends() {
  return {posix("poll", Backend::kPoll), posix("io_uring", Backend::kUring), simulated(1)};
}

void Contract::SetUp() {
  std::string pattern = std::filesystem::temp_directory_path() / "zferry-contract-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  folder_ = pattern;
  descriptors_before_ = open_descriptors();
  auto host = GetParam().make(folder_ + "/state");
  if (!host.ok()) GTEST_SKIP() << GetParam().name << " is not to be had here: " << host.error().what;
  host_ = std::move(*host);
}

void Contract::TearDown() {
  host_.reset();
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
  // Nothing may be left open; a thread that was fsyncing may take a moment.
  if (IsSkipped()) return;
  for (int count = 0; count < 1000 && open_descriptors() != descriptors_before_; ++count) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(open_descriptors(), descriptors_before_);
}

void Contract::serve_until(const std::function<bool()>& done) {
  Loop& loop = host_->loop();
  const TimePoint give_up = loop.now() + kUnreasonablyLong;
  TimerId timer = 0;
  bool late = false;
  std::function<void()> look = [&] {
    late = loop.now() >= give_up;
    if (late || done()) return host_->stop();
    timer = loop.after(std::chrono::microseconds(200), look);
  };
  timer = loop.after(Duration::zero(), look);
  host_->run();
  loop.cancel(timer);
  ASSERT_FALSE(late) << "what was waited for did not come";
}

void Contract::serve_a_while() {
  const TimePoint until = host_->loop().now() + std::chrono::milliseconds(20);
  serve_until([&] { return host_->loop().now() >= until; });
}

StreamPair Contract::connected_pair() {
  StreamPair pair;
  auto listener = host_->network().listen({"127.0.0.1", "0"});
  EXPECT_TRUE(listener.ok());
  if (!listener.ok()) return pair;
  (*listener)->accept([&](auto stream) { pair.b = std::move(stream.value()); });
  host_->network().connect({"127.0.0.1", std::to_string((*listener)->port())}, std::chrono::seconds(10),
                           [&](auto stream) { pair.a = std::move(stream.value()); });
  serve_until([&] { return pair.a && pair.b; });
  return pair;
}

std::vector<std::byte> Contract::read_all(ByteStream& stream, SizeOutcome* last) {
  std::vector<std::byte> all;
  std::vector<std::byte> buffer(200'000);
  SizeOutcome own;
  SizeOutcome& outcome = last ? *last : own;
  for (bool more = true; more;) {
    outcome = {};
    stream.read(buffer, outcome.done());
    serve_until([&] { return outcome.calls > 0; });
    more = outcome.ok() && **outcome.result > 0;
    if (more) all.insert(all.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(**outcome.result));
  }
  return all;
}

std::vector<std::byte> some_bytes(std::uint64_t seed, std::size_t count) {
  std::vector<std::byte> bytes(count);
  SeededRandom(seed).fill(bytes);
  return bytes;
}

}  // namespace zferry::io::contract
