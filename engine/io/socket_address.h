// Socket addresses: resolved, shown, and made into tuned sockets. Plain functions; resolve() may block, any thread may
// call.
#pragma once

#include <netdb.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "io/network.h"

namespace zferry::io {

inline constexpr std::size_t kAddressesMax = 8;  // of one name

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
  // "192.0.2.7:9443", "[2001:db8::1]:9443"; an IPv4 address in an IPv6 one is shown as what it is.
  std::string text() const;
  friend bool operator==(const SocketAddress& a, const SocketAddress& b) { return a.text() == b.text(); }
};

SocketAddress local_address(int fd);
// The endpoint as people write it.
std::string text_of(const Endpoint& endpoint);

// `flags` as of getaddrinfo. Errors: kUnreachable.
Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, int flags);
// Whether it is all numbers, so that resolving it asks nobody.
bool is_numeric(const Endpoint& endpoint);

// TCP_NODELAY, TCP_USER_TIMEOUT, keep-alive. The buffers are left to the kernel's tuning.
void tune_link(int fd);

}  // namespace zferry::io
