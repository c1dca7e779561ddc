// PosixListener: listening sockets, one for each address of the endpoint, as one Listener. On the loop's thread.
#pragma once

#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "io/network.h"
#include "io/posix_loop.h"

namespace zferry::io {

class PosixListener final : public Listener {
 public:
  // Errors: as Network::listen().
  static Result<std::unique_ptr<Listener>> create(PosixLoop& loop, const Endpoint& at);
  ~PosixListener() override;

  void accept(StreamDone done) override;
  std::uint16_t port() const override { return port_; }

 private:
  struct Socket {
    UniqueFd fd;
    Driver::OpId waiting = 0;
  };

  explicit PosixListener(PosixLoop& loop) : loop_(loop) {}
  void wait();
  void stop_waiting();
  void take_from(const Socket& socket);

  PosixLoop& loop_;
  std::vector<Socket> sockets_;
  std::uint16_t port_ = 0;
  StreamDone done_;
  TimerId pause_ = 0;
};

}  // namespace zferry::io
