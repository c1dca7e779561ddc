#include "control.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace zferry::wanlab {

std::optional<ControlSocket> ControlSocket::listen(const std::string& path, std::string& why) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    why = path + ": the path is too long for a socket";
    return std::nullopt;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  ControlSocket control;
  control.listener_ = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ::unlink(path.c_str());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!control.listener_.open() || ::bind(control.listener_.number(), generic, sizeof address) != 0 ||
      ::listen(control.listener_.number(), 16) != 0) {
    why = path + ": " + std::strerror(errno);
    return std::nullopt;
  }
  return control;
}

void ControlSocket::add_to(std::vector<pollfd>& set) const {
  if (callers_.size() < kCallersMax) set.push_back({listener_.number(), POLLIN, 0});
  for (const Caller& caller : callers_) set.push_back({caller.socket.number(), POLLIN, 0});
}

void ControlSocket::serve(const std::function<std::string(std::string_view)>& answer) {
  while (callers_.size() < kCallersMax) {
    Descriptor socket(::accept4(listener_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.open()) break;
    callers_.push_back({std::move(socket), {}});
  }
  std::erase_if(callers_, [&](Caller& caller) {
    std::array<char, 1024> piece{};
    const ssize_t got = ::recv(caller.socket.number(), piece.data(), piece.size(), 0);
    if (got < 0) return errno != EAGAIN && errno != EINTR;
    if (got == 0) return true;
    caller.line.append(piece.data(), static_cast<std::size_t>(got));
    const std::size_t end = caller.line.find('\n');
    if (end == std::string::npos) return caller.line.size() > kLineBytesMax;
    const std::string said = answer(std::string_view(caller.line).substr(0, end)) + "\n";
    // Answers are shorter than a socket's buffer (kFlowsShownMax), so one call sends all of it.
    [[maybe_unused]] const ssize_t sent = ::send(caller.socket.number(), said.data(), said.size(), MSG_NOSIGNAL);
    return true;
  });
}

}  // namespace zferry::wanlab
