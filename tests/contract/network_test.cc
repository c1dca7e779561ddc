// The contract of io/network.h: connecting and listening.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <set>

#include "base/unique_fd.h"
#include "contract/host_under_test.h"

namespace zferry::io::contract {
namespace {

constexpr std::chrono::seconds kPatience{10};

class Networks : public Contract {
 protected:
  std::unique_ptr<Listener> listen(const std::string& host, const std::string& port = "0") {
    auto listener = host_->network().listen({host, port});
    EXPECT_TRUE(listener.ok()) << (listener.ok() ? "" : listener.error().what);
    return listener.ok() ? std::move(*listener) : nullptr;
  }
  Outcome<std::unique_ptr<ByteStream>> connect(const Endpoint& to, Duration patience = kPatience) {
    Outcome<std::unique_ptr<ByteStream>> outcome;
    host_->network().connect(to, patience, outcome.done());
    EXPECT_EQ(outcome.calls, 0);  // never inside the call
    serve_until([&] { return outcome.calls > 0; });
    EXPECT_EQ(outcome.calls, 1);
    return outcome;
  }
  bool has_ipv6() { return host_->network().listen({"::1", "0"}).ok(); }
};
ZF_ON_EVERY_BACK_END(Networks);

TEST_P(Networks, ARefusedConnectionIsUnreachableAndNamesAddressAndCause) {
  const std::string port = std::to_string(listen("127.0.0.1")->port());  // closed again at once
  const auto outcome = connect({"127.0.0.1", port});
  EXPECT_EQ(outcome.fault(), Fault::kUnreachable);
  EXPECT_EQ(outcome.what(), "connect to 127.0.0.1:" + port + ": Connection refused");
}

TEST_P(Networks, ANameIsResolvedAndItsAddressesTriedInTurn) {
  if (!GetParam().real) GTEST_SKIP() << "no resolver";
  const auto listener = listen("127.0.0.1");
  Outcome<std::unique_ptr<ByteStream>> accepted;
  listener->accept(accepted.done());
  const auto outcome = connect({"localhost", std::to_string(listener->port())});  // may try [::1] first
  EXPECT_TRUE(outcome.ok()) << outcome.what();
  serve_until([&] { return accepted.calls > 0; });
  EXPECT_TRUE(accepted.ok());
}

TEST_P(Networks, AFailedNameTellsEachAddress) {
  if (!GetParam().real) GTEST_SKIP() << "no resolver";
  const std::string port = std::to_string(listen("127.0.0.1")->port());
  const auto outcome = connect({"localhost", port});
  EXPECT_EQ(outcome.fault(), Fault::kUnreachable);
  EXPECT_NE(outcome.what().find("connect to localhost:" + port + ": "), std::string::npos) << outcome.what();
  EXPECT_NE(outcome.what().find("127.0.0.1:" + port + ": Connection refused"), std::string::npos) << outcome.what();
}

TEST_P(Networks, ANameThatIsNoneIsUnreachable) {
  const auto outcome = connect({"no-such-host.invalid", "9443"}, std::chrono::seconds(2));
  EXPECT_EQ(outcome.fault(), Fault::kUnreachable);
  EXPECT_NE(outcome.what().find("no-such-host.invalid:9443"), std::string::npos) << outcome.what();
}

TEST_P(Networks, PatienceEndsAConnectThatNobodyAnswers) {
  if (!GetParam().real) GTEST_SKIP() << "needs a full backlog";
  // A listener that accepts nothing and whose queue is full: the kernel drops further SYNs.
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof at;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&at), bytes), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &bytes), 0);
  std::vector<UniqueFd> waiting;
  for (int count = 0; count < 3; ++count) {
    waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::connect(waiting.back().get(), reinterpret_cast<sockaddr*>(&at), bytes);
  }
  const TimePoint start = host_->loop().now();
  const std::string port = std::to_string(ntohs(at.sin_port));
  const auto outcome = connect({"127.0.0.1", port}, std::chrono::milliseconds(100));
  EXPECT_EQ(outcome.fault(), Fault::kUnreachable);
  EXPECT_EQ(outcome.what(), "connect to 127.0.0.1:" + port + ": no answer within 0.1 s");
  EXPECT_GE(host_->loop().now() - start, Duration(std::chrono::milliseconds(99)));
}

TEST_P(Networks, AMissingHostIsNoPlaceToConnectTo) { EXPECT_EQ(connect({"", "9443"}).fault(), Fault::kUnreachable); }

TEST_P(Networks, APortInUseIsTold) {
  const auto listener = listen("127.0.0.1");
  const auto second = host_->network().listen({"127.0.0.1", std::to_string(listener->port())});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().fault, Fault::kUnreachable);
  EXPECT_NE(second.error().what.find("Address already in use"), std::string::npos) << second.error().what;
}

TEST_P(Networks, AnAddressThatIsNotOursIsAUsageError) {
  const auto listener = host_->network().listen({"198.51.100.7", "0"});
  ASSERT_FALSE(listener.ok());
  EXPECT_EQ(listener.error().fault, Fault::kUsage) << listener.error().what;
}

TEST_P(Networks, AcceptsSeveralOneAfterTheOther) {
  constexpr int kMany = 20;
  const auto listener = listen("127.0.0.1");
  EXPECT_GT(listener->port(), 0);
  std::vector<std::unique_ptr<ByteStream>> dialled;
  std::vector<std::unique_ptr<ByteStream>> accepted;
  for (int count = 0; count < kMany; ++count) {
    host_->network().connect({"127.0.0.1", std::to_string(listener->port())}, kPatience,
                             [&](auto stream) { dialled.push_back(std::move(stream.value())); });
  }
  std::function<void()> next = [&] {
    listener->accept([&](auto stream) {
      accepted.push_back(std::move(stream.value()));
      next();
    });
  };
  next();
  serve_until([&] { return dialled.size() == kMany && accepted.size() == kMany; });
  std::set<std::string> names;
  for (const auto& stream : accepted) names.insert(stream->name());
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kMany));
}

TEST_P(Networks, AListenerThatGoesTakesItsAcceptAndItsPortWithIt) {
  std::string port = "0";
  for (int round = 0; round < 5; ++round) {
    auto listener = listen("127.0.0.1", port);
    ASSERT_NE(listener, nullptr) << "round " << round;
    port = std::to_string(listener->port());
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr watch = owned;
    int calls = 0;
    listener->accept([&calls, owned](auto) { ++calls; });
    owned.reset();
    if (round % 2) serve_a_while();
    listener.reset();
    serve_until([&] { return watch.expired(); });
    EXPECT_EQ(calls, 0);
  }
}

TEST_P(Networks, SpeakIPv6) {
  if (!has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  const auto listener = listen("::1");
  Outcome<std::unique_ptr<ByteStream>> accepted;
  listener->accept(accepted.done());
  const auto outcome = connect({"::1", std::to_string(listener->port())});
  ASSERT_TRUE(outcome.ok()) << outcome.what();
  EXPECT_EQ((**outcome.result)->name(), "[::1]:" + std::to_string(listener->port()));
  serve_until([&] { return accepted.calls > 0; });
}

TEST_P(Networks, AnEmptyHostListensForBothFamilies) {
  const auto listener = listen("");
  for (const std::string host : {"127.0.0.1", "::1"}) {
    if (host == "::1" && !has_ipv6()) continue;
    Outcome<std::unique_ptr<ByteStream>> accepted;
    listener->accept(accepted.done());
    const auto outcome = connect({host, std::to_string(listener->port())});
    EXPECT_TRUE(outcome.ok()) << outcome.what();
    serve_until([&] { return accepted.calls > 0; });
    ASSERT_TRUE(accepted.ok());
    EXPECT_EQ((**accepted.result)->name().find(host == "::1" ? "[::1]:" : "127.0.0.1:"), 0U);
  }
}

TEST_P(Networks, WithoutDescriptorsAnAcceptWaitsForThem) {
  if (!GetParam().real) GTEST_SKIP() << "no descriptors";
  const auto listener = listen("127.0.0.1");
  Outcome<std::unique_ptr<ByteStream>> dialled = connect({"127.0.0.1", std::to_string(listener->port())});
  ASSERT_TRUE(dialled.ok());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Outcome<std::unique_ptr<ByteStream>> accepted;
  listener->accept(accepted.done());
  serve_a_while();
  EXPECT_EQ(accepted.calls, 0);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  serve_until([&] { return accepted.calls > 0; });
  EXPECT_TRUE(accepted.ok());
}

}  // namespace
}  // namespace zferry::io::contract
