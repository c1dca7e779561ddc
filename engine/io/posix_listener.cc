#include "io/posix_listener.h"

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "io/fd_stream.h"
#include "io/socket_address.h"

namespace zferry::io {

namespace {

constexpr int kBacklog = 128;
constexpr std::chrono::milliseconds kPauseAfterFailure{100};
// Who is killed may hold its port a little longer than its life: io_uring lets go of files behind the exit. The same
// command at once shall not fail for that.
constexpr int kBindTries = 20;
constexpr std::chrono::milliseconds kBindPause{50};

int bind_to(int fd, const SocketAddress& address) {
  for (int tries = 1;; ++tries) {
    if (::bind(fd, address.get(), address.bytes) == 0) return 0;
    if (errno != EADDRINUSE || tries == kBindTries) return -1;
    std::this_thread::sleep_for(kBindPause);
  }
}

// A descriptor, or errno's number below 0.
int listening_socket(const SocketAddress& address, bool dual_stack) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!fd) return -errno;
  const int on = 1;
  const int v6_only = dual_stack ? 0 : 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  if (bind_to(fd.get(), address) != 0 || ::listen(fd.get(), kBacklog) != 0) return -errno;
  return fd.release();
}

Error listen_error(const SocketAddress& address, int error_number) {
  // A port that is taken may be free later; an address that is not ours, or a port that we may not have, will not come
  // by waiting.
  const bool never = error_number == EADDRNOTAVAIL || error_number == EACCES;
  Error error = errno_error(never ? Fault::kUsage : Fault::kUnreachable, "listen on " + address.text(), error_number);
  const std::string port = std::to_string(address.port());
  if (error_number == EADDRINUSE)
    error.next = "see who has this port (ss -ltnp sport = :" + port + "), or take another";
  if (error_number == EADDRNOTAVAIL)
    error.next = "give an address of this host (ip addr), or --listen :" + port + " for all of them";
  if (error_number == EACCES) error.next = "take a port from 1024 on, for example --listen :9443, or run as root";
  return error;
}

// Every address of this host: one IPv6 socket that takes IPv4 too, or IPv4 alone on a host without IPv6.
Result<std::vector<UniqueFd>> listen_everywhere(const Endpoint& at) {
  auto addresses = resolve(at, AI_PASSIVE);
  if (!addresses.ok()) return Error{Fault::kUsage, addresses.error().what, addresses.error().next};
  std::stable_partition(addresses->begin(), addresses->end(), [](const auto& a) { return a.family() == AF_INET6; });
  Error error;
  for (const SocketAddress& address : *addresses) {
    const int fd = listening_socket(address, true);
    if (fd >= 0) {
      std::vector<UniqueFd> fds;
      fds.emplace_back(fd);
      return fds;
    }
    error = listen_error(address, -fd);
    if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL) break;
  }
  return error;
}

Result<std::vector<UniqueFd>> listen_at_name(const Endpoint& at) {
  auto addresses = resolve(at, AI_PASSIVE);
  if (!addresses.ok()) return Error{Fault::kUsage, addresses.error().what, addresses.error().next};
  std::vector<UniqueFd> fds;
  Error error;
  for (SocketAddress& address : *addresses) {
    // Where the system picks the port, it picks it once for all addresses of the name.
    if (!fds.empty() && address.port() == 0) address.set_port(local_address(fds[0].get()).port());
    const int fd = listening_socket(address, false);
    if (fd >= 0) {
      fds.emplace_back(fd);
    } else if (error.what.empty()) {
      error = listen_error(address, -fd);
    }
  }
  if (fds.empty()) return error;
  return fds;
}

// That connection is gone already, or was never there: the next one may come at once. All else (no descriptors, no
// memory) would fail again at once.
bool passes_at_once(int error_number) {
  return error_number == EAGAIN || error_number == EINTR || error_number == ECONNABORTED || error_number == EPROTO;
}

}  // namespace

Result<std::unique_ptr<Listener>> PosixListener::create(PosixLoop& loop, const Endpoint& at) {
  auto fds = at.host.empty() ? listen_everywhere(at) : listen_at_name(at);
  if (!fds.ok()) return fds.take_error();
  std::unique_ptr<PosixListener> listener(new PosixListener(loop));
  listener->port_ = local_address((*fds)[0].get()).port();
  for (UniqueFd& fd : *fds) listener->sockets_.push_back({std::move(fd)});
  return std::unique_ptr<Listener>(std::move(listener));
}

PosixListener::~PosixListener() {
  loop_.cancel(pause_);
  stop_waiting();
}

void PosixListener::accept(StreamDone done) {
  ZF_ASSERT(!done_);
  done_ = std::move(done);
  wait();
}

void PosixListener::wait() {
  for (Socket& socket : sockets_) {
    socket.waiting = loop_.driver().wait_ready(socket.fd.get(), POLLIN, [this, &socket](int) {
      socket.waiting = 0;
      take_from(socket);
    });
  }
}

void PosixListener::stop_waiting() {
  for (Socket& socket : sockets_) loop_.driver().cancel(std::exchange(socket.waiting, 0));
}

void PosixListener::take_from(const Socket& socket) {
  stop_waiting();
  SocketAddress peer;
  peer.bytes = sizeof peer.storage;
  UniqueFd fd(::accept4(socket.fd.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.bytes, SOCK_CLOEXEC));
  if (fd) {
    tune_link(fd.get());
    StreamTraits traits{FdKind::kSocket, true, false, peer.text()};
    const auto done = std::exchange(done_, nullptr);
    return done(std::unique_ptr<ByteStream>(std::make_unique<FdStream>(loop_, std::move(fd), std::move(traits))));
  }
  if (passes_at_once(errno)) return wait();
  pause_ = loop_.after(kPauseAfterFailure, [this] {
    pause_ = 0;
    wait();
  });
}

}  // namespace zferry::io
