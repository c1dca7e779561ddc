#include <gtest/gtest.h>

#include "io/network.h"

namespace zferry::io {
namespace {

TEST(Endpoint, TakesHostsAddressesAndPorts) {
  const struct {
    const char* text;
    const char* host;
    const char* port;
  } cases[] = {
      {"backup.example:9443", "backup.example", "9443"},
      {"192.0.2.7:1", "192.0.2.7", "1"},
      {"[2001:db8::1]:9443", "2001:db8::1", "9443"},
      {"[fe80::1%eth0]:9443", "fe80::1%eth0", "9443"},
      {"[::1]:https", "::1", "https"},
      {":9443", "", "9443"},
      {":0", "", "0"},
      {"host:65535", "host", "65535"},
  };
  for (const auto& wanted : cases) {
    const auto endpoint = parse_endpoint(wanted.text);
    ASSERT_TRUE(endpoint.ok()) << wanted.text;
    EXPECT_EQ(endpoint->host, wanted.host);
    EXPECT_EQ(endpoint->port, wanted.port);
  }
}

TEST(Endpoint, RefusesTheRestAndSaysHowToWriteIt) {
  const std::string long_host(300, 'a');
  const std::string cases[] = {
      "",        "host",      "host:",      ":",           "2001:db8::1", "::1:9443",       "[::1]",      "[::1",
      "[]:9443", "[::1]9443", "host:65536", "host:123456", "host:-1",     "host:9 443",     "ho st:9443", "host:a b",
      "a\nb:1",  "[::1]:",    "[[::1]]:1",  "host]:1",     "host:9443/",  long_host + ":1", "\xff:1"};
  for (const std::string& text : cases) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint.ok()) << text;
    EXPECT_EQ(endpoint.error().fault, Fault::kUsage) << text;
    EXPECT_FALSE(endpoint.error().next.empty() && endpoint.error().what.empty()) << text;
  }
  EXPECT_NE(parse_endpoint("2001:db8::1").error().what.find("brackets"), std::string::npos);
  EXPECT_NE(parse_endpoint("backup.example").error().next.find("backup.example:9443"), std::string::npos);
}

}  // namespace
}  // namespace zferry::io
