// Network: TCP as the engine needs it. Addresses are "HOST:PORT", "[V6]:PORT" or ":PORT" (listen on everything), names
// are resolved.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "io/byte_stream.h"

namespace zferry::io {

struct Endpoint {
  std::string host;  // empty: every address of this host
  std::string port;  // a number 1..65535 (0 too for a listener: the system picks), or a service's name
};

// Errors: kUsage, with what is wrong and an example.
Result<Endpoint> parse_endpoint(const std::string& text);

using StreamDone = std::function<void(Result<std::unique_ptr<ByteStream>>)>;

class Listener {
 public:
  virtual ~Listener() = default;
  // The next connection. One accept at a time; passing failures (ECONNABORTED, EMFILE) are retried inside, not
  // reported.
  virtual void accept(StreamDone done) = 0;
  // The port it listens on: what the system picked, where 0 was asked for.
  virtual std::uint16_t port() const = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  // Tries each address of the name in turn until one answers or `patience` is over; resolving does not block the loop.
  // Sockets come with TCP_NODELAY, TCP_USER_TIMEOUT and close-on-exec. Errors: kUnreachable.
  virtual void connect(const Endpoint& to, Duration patience, StreamDone done) = 0;
  // Errors: kUnreachable ("address already in use", …), kUsage for a name that is none of this host's.
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& at) = 0;
};

}  // namespace zferry::io
