// PosixNetwork: connectors and listeners over the host's TCP. On the loop's thread.
#pragma once

#include <memory>
#include <unordered_map>

#include "io/connector.h"
#include "io/network.h"
#include "io/posix_loop.h"

namespace zferry::io {

class PosixNetwork final : public Network {
 public:
  explicit PosixNetwork(PosixLoop& loop) : loop_(loop) {}
  ~PosixNetwork() override;
  void connect(const Endpoint& to, Duration patience, StreamDone done) override;
  Result<std::unique_ptr<Listener>> listen(const Endpoint& at) override;

 private:
  PosixLoop& loop_;
  std::unordered_map<Connector*, std::shared_ptr<Connector>> connecting_;
};

}  // namespace zferry::io
