#include "io/connector.h"

#include <fcntl.h>
#include <poll.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "io/fd_stream.h"

namespace zferry::io {

namespace {

// What helps where no address of `to` took the connection.
std::string next_step(const Endpoint& to, const std::string& causes) {
  if (causes.find(std::generic_category().message(ECONNREFUSED)) != std::string::npos)
    return "start the listening end first (zferry recv --listen :" + escaped(to.port) +
           " ..., or zferry send --listen), or check the port; nothing was sent";
  return "check the address, the other host and the firewalls between (ping " + escaped(to.host) +
         "); nothing was sent";
}

}  // namespace

Connector::Connector(PosixLoop& loop, Endpoint to, Duration patience, StreamDone done,
                     std::function<void(Connector*)> over)
    : loop_(loop),
      to_(std::move(to)),
      deadline_(loop.now() + std::min<Duration>(patience, std::chrono::hours(24))),
      done_(std::move(done)),
      over_(std::move(over)) {}

Connector::~Connector() { drop_attempt(); }

void Connector::start() {
  const auto weak = weak_from_this();
  if (to_.host.empty()) {
    loop_.post([weak, what = "connect to " + text_of(to_) + ": the host is missing"] {
      if (auto self = weak.lock()) self->finish(Error{Fault::kUnreachable, what, "name it: HOST:PORT"});
    });
    return;
  }
  if (is_numeric(to_)) {
    loop_.post([weak] {
      if (auto self = weak.lock()) self->resolved(resolve(self->to_, AI_NUMERICHOST | AI_NUMERICSERV));
    });
    return;
  }
  timer_ = loop_.after(deadline_ - loop_.now(), [this] {
    timer_ = 0;
    finish(Error{Fault::kUnreachable, "resolve " + text_of(to_) + ": no answer",
                 "check this host's name service: getent hosts " + escaped(to_.host) + "; nothing was sent"});
  });
  run_aside(loop_.mailbox(), [weak, to = to_]() -> std::function<void()> {
    auto addresses = std::make_shared<Result<std::vector<SocketAddress>>>(resolve(to, 0));
    return [weak, addresses] {
      if (auto self = weak.lock()) self->resolved(std::move(*addresses));
    };
  });
}

void Connector::resolved(Result<std::vector<SocketAddress>> addresses) {
  if (!done_) return;  // patience was over
  if (!addresses.ok()) return finish(addresses.take_error());
  addresses_ = std::move(*addresses);
  try_next();
}

void Connector::try_next() {
  drop_attempt();
  const std::size_t left = addresses_.size() - next_index_;
  const Duration remaining = deadline_ - loop_.now();
  if (left == 0 || (next_index_ > 0 && remaining <= Duration::zero())) {
    // "connect to 127.0.0.1:9443: Connection refused"; a name's addresses are told one by one.
    const bool one = addresses_.size() == 1 && addresses_[0].text() == text_of(to_);
    return finish(Error{Fault::kUnreachable, "connect to " + (one ? "" : text_of(to_) + ": ") + causes_,
                        next_step(to_, causes_)});
  }
  const SocketAddress& address = addresses_[next_index_++];
  socket_.reset(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!socket_) return failed(std::generic_category().message(errno));
  tune_link(socket_.get());
  if (::connect(socket_.get(), address.get(), address.bytes) != 0 && errno != EINPROGRESS) {
    return failed(std::generic_category().message(errno));
  }
  // One dead address must not use up what the others need.
  const Duration share = remaining / static_cast<Duration::rep>(left);
  timer_ = loop_.after(share, [this, share] {
    timer_ = 0;
    char text[48];
    std::snprintf(text, sizeof text, "no answer within %.1f s", seconds(share));
    failed(text);
  });
  waiting_ = loop_.driver().wait_ready(socket_.get(), POLLOUT, [this](int) {
    waiting_ = 0;
    answered();
  });
}

void Connector::answered() {
  int error_number = 0;
  socklen_t bytes = sizeof error_number;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error_number, &bytes) != 0) error_number = errno;
  if (error_number != 0) return failed(std::generic_category().message(error_number));
  const SocketAddress& address = addresses_[next_index_ - 1];
  // A redialler of a port of this host's ephemeral range can meet itself: TCP's simultaneous open.
  if (local_address(socket_.get()) == address) return failed(std::generic_category().message(ECONNREFUSED));
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) & ~O_NONBLOCK);
  StreamTraits traits{FdKind::kSocket, true, false, address.text()};
  finish(std::unique_ptr<ByteStream>(std::make_unique<FdStream>(loop_, std::move(socket_), std::move(traits))));
}

void Connector::failed(const std::string& cause) {
  if (!causes_.empty()) causes_ += "; ";
  causes_ += addresses_[next_index_ - 1].text() + ": " + cause;
  try_next();
}

void Connector::drop_attempt() {
  loop_.cancel(std::exchange(timer_, 0));
  loop_.driver().cancel(std::exchange(waiting_, 0));
  socket_.reset();
}

void Connector::finish(Result<std::unique_ptr<ByteStream>> result) {
  drop_attempt();
  const auto self = shared_from_this();  // until this returns
  const auto done = std::exchange(done_, nullptr);
  over_(this);
  done(std::move(result));
}

}  // namespace zferry::io
