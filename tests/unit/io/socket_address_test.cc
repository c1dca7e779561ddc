#include "io/socket_address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace zferry::io {
namespace {

TEST(SocketAddress, IsShownAsPeopleWriteIt) {
  const auto text = [](const std::string& host) { return (*resolve({host, "9443"}, AI_NUMERICHOST))[0].text(); };
  EXPECT_EQ(text("192.0.2.7"), "192.0.2.7:9443");
  EXPECT_EQ(text("2001:db8::1"), "[2001:db8::1]:9443");
  EXPECT_EQ(text("::ffff:192.0.2.7"), "192.0.2.7:9443");  // as a dual-stack listener sees its peers
  EXPECT_EQ(text_of({"2001:db8::1", "1"}), "[2001:db8::1]:1");
  EXPECT_EQ(text_of({"host", "1"}), "host:1");
}

TEST(SocketAddress, PortsCanBeSet) {
  for (const std::string host : {"192.0.2.7", "2001:db8::1"}) {
    SocketAddress address = (*resolve({host, "0"}, AI_NUMERICHOST))[0];
    EXPECT_EQ(address.port(), 0);
    address.set_port(9443);
    EXPECT_EQ(address.port(), 9443);
    EXPECT_EQ(address, (*resolve({host, "9443"}, AI_NUMERICHOST))[0]);
  }
}

TEST(SocketAddress, WhatIsNotNumericIsNotResolvedAsSuch) {
  EXPECT_TRUE(is_numeric({"192.0.2.7", "9443"}));
  EXPECT_TRUE(is_numeric({"::1", "9443"}));
  EXPECT_FALSE(is_numeric({"localhost", "9443"}));
  EXPECT_FALSE(is_numeric({"192.0.2.7", "https"}));
  const auto none = resolve({"localhost", "9443"}, AI_NUMERICHOST);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().fault, Fault::kUnreachable);
}

TEST(SocketAddress, LinksAreTuned) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  tune_link(fd.get());
  const auto option = [&](int level, int name) {
    int value = -1;
    socklen_t bytes = sizeof value;
    EXPECT_EQ(::getsockopt(fd.get(), level, name, &value, &bytes), 0);
    return value;
  };
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 600'000);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
}

}  // namespace
}  // namespace zferry::io
