#include "io/posix_network.h"

#include <utility>

#include "io/posix_listener.h"

namespace zferry::io {

PosixNetwork::~PosixNetwork() {
  while (!connecting_.empty()) auto node = connecting_.extract(connecting_.begin());
}

void PosixNetwork::connect(const Endpoint& to, Duration patience, StreamDone done) {
  auto connector = std::make_shared<Connector>(loop_, to, patience, std::move(done),
                                               [this](Connector* over) { connecting_.erase(over); });
  connecting_.emplace(connector.get(), connector);
  connector->start();
}

Result<std::unique_ptr<Listener>> PosixNetwork::listen(const Endpoint& at) { return PosixListener::create(loop_, at); }

}  // namespace zferry::io
