#include "io/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/limits.h"

namespace zferry::io {

namespace {

// The kernel's view of the storage by family; memcpy keeps aliasing out of it.
template <class T>
T as(const sockaddr_storage& storage) {
  T address;
  std::memcpy(&address, &storage, sizeof address);
  return address;
}

int ask(const Endpoint& endpoint, int flags, addrinfo** found) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  return ::getaddrinfo(endpoint.host.empty() ? nullptr : endpoint.host.c_str(), endpoint.port.c_str(), &hints, found);
}

using Found = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

}  // namespace

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(as<sockaddr_in>(storage).sin_port);
  if (family() == AF_INET6) return ntohs(as<sockaddr_in6>(storage).sin6_port);
  return 0;
}

void SocketAddress::set_port(std::uint16_t port) {
  // The port is in the same place in both families.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  const std::uint16_t network_order = htons(port);
  std::memcpy(reinterpret_cast<char*>(&storage) + offsetof(sockaddr_in, sin_port), &network_order,
              sizeof network_order);
}

std::string SocketAddress::text() const {
  char host[NI_MAXHOST] = "?";
  const std::string port_text = ":" + std::to_string(port());
  if (family() == AF_INET6) {
    const auto v6 = as<sockaddr_in6>(storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, host, sizeof host);
      return host + port_text;
    }
  }
  ::getnameinfo(get(), bytes, host, sizeof host, nullptr, 0, NI_NUMERICHOST);  // with the scope of a link-local one
  return family() == AF_INET6 ? "[" + std::string(host) + "]" + port_text : host + port_text;
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  address.bytes = sizeof address.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) != 0) address.bytes = 0;
  return address;
}

std::string text_of(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return escaped(v6 ? "[" + endpoint.host + "]:" + endpoint.port : endpoint.host + ":" + endpoint.port);
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, int flags) {
  addrinfo* raw = nullptr;
  const int result = ask(endpoint, flags, &raw);
  const Found found(raw, &::freeaddrinfo);
  const std::string what = "resolve " + text_of(endpoint);
  const std::string next = "check the spelling: getent hosts " + escaped(endpoint.host);
  if (result == EAI_SYSTEM) return errno_error(Fault::kUnreachable, what, errno);
  if (result == EAI_SERVICE)
    return Error{Fault::kUnreachable, what + ": there is no such service", "give the port as a number"};
  if (result != 0) return Error{Fault::kUnreachable, what + ": " + ::gai_strerror(result), next};
  std::vector<SocketAddress> addresses;
  for (const addrinfo* at = raw; at != nullptr && addresses.size() < kAddressesMax; at = at->ai_next) {
    SocketAddress address;
    if (at->ai_addrlen > sizeof address.storage) continue;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.bytes = at->ai_addrlen;
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) addresses.push_back(address);
  }
  if (addresses.empty()) return Error{Fault::kUnreachable, what + ": no address", next};
  return addresses;
}

bool is_numeric(const Endpoint& endpoint) {
  addrinfo* raw = nullptr;
  const int result = ask(endpoint, AI_NUMERICHOST | AI_NUMERICSERV, &raw);
  const Found found(raw, &::freeaddrinfo);
  return result == 0;
}

void tune_link(int fd) {
  const int on = 1;
  // The lane notices silence by itself, and sooner; this is for what the kernel still holds when the lane is gone.
  const auto silence_ms = static_cast<int>(std::chrono::milliseconds(limits::kSilenceMaxMax).count());
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // What waits unsent in the kernel when a link is cut is sent again on the next lane: keep it short.
  const int unsent_bytes = static_cast<int>(limits::kUnsentBytes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

}  // namespace zferry::io
