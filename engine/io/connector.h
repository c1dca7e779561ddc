// Connector: one attempt to reach an endpoint: resolve its name aside, then try each address in turn. On the loop's
// thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/network.h"
#include "io/posix_loop.h"
#include "io/socket_address.h"

namespace zferry::io {

class Connector : public std::enable_shared_from_this<Connector> {
 public:
  // `over` is called just before `done`, so that the owner lets go.
  Connector(PosixLoop& loop, Endpoint to, Duration patience, StreamDone done, std::function<void(Connector*)> over);
  ~Connector();
  void start();

 private:
  void resolved(Result<std::vector<SocketAddress>> addresses);
  void try_next();
  void answered();
  void failed(const std::string& cause);
  void drop_attempt();
  void finish(Result<std::unique_ptr<ByteStream>> result);

  PosixLoop& loop_;
  const Endpoint to_;
  const TimePoint deadline_;
  StreamDone done_;
  std::function<void(Connector*)> over_;

  std::vector<SocketAddress> addresses_;
  std::size_t next_index_ = 0;
  UniqueFd socket_;
  Driver::OpId waiting_ = 0;
  TimerId timer_ = 0;
  std::string causes_;  // of the addresses that failed
};

}  // namespace zferry::io
