// The kernel's own header: libc's tcp_info ends where Linux 2.6 did.
#include "io/tcp_facts.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <limits>

namespace zferry::io {

namespace {

// What net.core.wmem_max says; 0 where it cannot be read.
std::size_t wmem_max() {
  std::size_t bytes = 0;
  std::ifstream("/proc/sys/net/core/wmem_max") >> bytes;
  return bytes;
}

bool set_send_buffer(int fd, int option, std::size_t half_bytes, std::size_t now_bytes) {
  if (half_bytes * 2 <= now_bytes) return false;
  const auto value = static_cast<int>(std::min<std::size_t>(half_bytes, std::numeric_limits<int>::max() / 2));
  return ::setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) == 0;
}

}  // namespace

std::optional<LinkFacts> tcp_facts(int fd) {
  tcp_info info{};  // what is not told stays zero
  socklen_t bytes = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) return std::nullopt;
  LinkFacts facts;
  facts.rtt = std::chrono::microseconds(info.tcpi_rtt);
  const std::uint32_t least = info.tcpi_min_rtt == 0 ? info.tcpi_rtt : info.tcpi_min_rtt;
  facts.rtt_min = std::chrono::microseconds(least == ~0U ? info.tcpi_rtt : least);
  // Behind a lost packet the others are acknowledged one by one (SACK), and only later as a whole.
  facts.acked_bytes = info.tcpi_bytes_acked + std::uint64_t{info.tcpi_sacked} * info.tcpi_snd_mss;
  facts.buffer_limited = std::chrono::microseconds(info.tcpi_sndbuf_limited);
  int buffer = 0;
  bytes = sizeof buffer;
  if (::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, &bytes) == 0)
    facts.send_buffer_bytes = static_cast<std::size_t>(buffer);
  std::array<char, 16> name{};
  bytes = name.size() - 1;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &bytes) == 0) facts.congestion = name.data();
  return facts;
}

void tcp_wish(int fd, const LinkWishes& wishes) {
  if (!wishes.congestion.empty())
    ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, wishes.congestion.data(),
                 static_cast<socklen_t>(wishes.congestion.size()));
  if (wishes.unsent_bytes > 0) {
    const auto unsent = static_cast<int>(wishes.unsent_bytes);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
  }
  if (wishes.send_buffer_bytes == 0) return;
  int before = 0;
  socklen_t bytes = sizeof before;
  if (::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &bytes) != 0) return;
  // The kernel takes twice what it is asked for, and gives up growing the buffer by itself: never to less than it has
  // come to. Who may not pass the system's limit (net.core.wmem_max) is cut down to it.
  const std::size_t half = wishes.send_buffer_bytes / 2;
  const auto now = static_cast<std::size_t>(std::max(before, 0));
  if (set_send_buffer(fd, SO_SNDBUFFORCE, half, now)) return;
  set_send_buffer(fd, SO_SNDBUF, std::min(half, wmem_max()), now);
}

}  // namespace zferry::io
