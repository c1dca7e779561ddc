#include "io/sim_network.h"

#include <algorithm>
#include <charconv>

namespace zferry::io {
namespace {

constexpr std::size_t kBacklogMax = 128;

class SimSocket final : public ByteStream {
 public:
  SimSocket(SimConnection& connection, unsigned end, SimLifeRef life)
      : connection_(connection), end_(end), life_(std::move(life)), name_(connection.peer(end)) {}
  ~SimSocket() override {
    if (life_->alive) connection_.close(end_);
  }
  void read(Bytes into, SizeDone done) override {
    if (life_->alive) connection_.read(end_, into, std::move(done));
  }
  void write(ConstBytes from, SizeDone done) override {
    if (life_->alive) connection_.write(end_, from, std::move(done));
  }
  void shutdown_write() override {
    if (life_->alive) connection_.shutdown_write(end_);
  }
  std::size_t unread() const override { return 0; }
  std::string name() const override { return name_; }

 private:
  SimConnection& connection_;
  unsigned end_;
  SimLifeRef life_;
  std::string name_;
};

class SimListener final : public Listener {
 public:
  SimListener(SimFabric& fabric, std::shared_ptr<SimPort> port) : fabric_(fabric), port_(std::move(port)) {}
  ~SimListener() override {
    if (port_->life->alive) fabric_.close(*port_);
  }
  void accept(StreamDone done) override {
    if (port_->life->alive) fabric_.accept(port_, std::move(done));
  }
  std::uint16_t port() const override { return port_->number; }

 private:
  SimFabric& fabric_;
  std::shared_ptr<SimPort> port_;
};

bool is_this_host(const std::string& host, const SimLife& life) {
  return host == life.host || host == "localhost" || host == "127.0.0.1" || host == "::1";
}

bool is_any(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

std::string address(const std::string& host) {
  if (host == "localhost") return "127.0.0.1";
  return host == "::1" ? "[::1]" : host;
}

std::optional<std::uint16_t> port_number(const std::string& text) {
  std::uint16_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string text(const Endpoint& endpoint) { return endpoint.host + ":" + endpoint.port; }

}  // namespace

struct SimFabric::Attempt {
  SimLifeRef life;
  Endpoint to;
  TimePoint deadline;
  StreamDone done;
};

SimFabric::Link& SimFabric::link_between(const std::string& one, const std::string& other) {
  for (Link& link : links_) {
    if ((link.one == one && link.other == other) || (link.one == other && link.other == one)) return link;
  }
  Link& link = links_.emplace_back();
  link.one = one;
  link.other = other;
  return link;
}

void SimFabric::set_link(const std::string& one, const std::string& other, const SimLinkSettings& settings) {
  Link& link = link_between(one, other);
  link.own_settings = true;
  link.settings = settings;
}

void SimFabric::part(const std::string& one, const std::string& other) {
  core_.trace("link %s - %s parted", one.c_str(), other.c_str());
  link_between(one, other).parted = true;
  for (auto& connection : connections_) {
    const std::string& dialler = connection->dialler();
    const std::string& listener = connection->listener();
    if ((dialler == one && listener == other) || (dialler == other && listener == one)) connection->silence();
  }
}

void SimFabric::heal(const std::string& one, const std::string& other) {
  core_.trace("link %s - %s healed", one.c_str(), other.c_str());
  link_between(one, other).parted = false;
}

const SimFabric::Site* SimFabric::find_site(const std::string& name, const SimLife& from) const {
  if (is_this_host(name, from)) return &sites_[from.site];
  auto found = std::find_if(sites_.begin(), sites_.end(), [&](const Site& site) { return site.name == name; });
  return found == sites_.end() ? nullptr : &*found;
}

std::shared_ptr<SimPort> SimFabric::find_port(const std::string& host, std::uint16_t number) {
  for (auto& port : ports_) {
    if (port->open && port->number == number && port->life->host == host) return port;
  }
  return nullptr;
}

void SimFabric::set_up(std::size_t site, bool up) {
  sites_[site].up = up;
  if (!up) return;
  for (auto& connection : connections_) {
    if (link_between(connection->dialler(), connection->listener()).parted) continue;
    for (unsigned end : {0u, 1u}) {
      if (connection->owner(end)->site == site && !connection->owner(end)->alive) connection->forget(end);
    }
  }
}

void SimFabric::crash(const SimLife& life, SimCrash how) {
  for (auto& connection : connections_) {
    for (unsigned end : {0u, 1u}) {
      if (connection->owner(end) == &life) connection->crash(end, how);
    }
  }
  for (auto& port : ports_) {
    if (port->life.get() != &life) continue;
    core_.bury(std::exchange(port->accepting, nullptr));
    port->open = false;
  }
  std::erase_if(ports_, [](const auto& port) { return !port->open; });
}

void SimFabric::connect(const SimLifeRef& life, const Endpoint& to, Duration patience, StreamDone done) {
  auto attempt = std::make_shared<Attempt>(Attempt{life, to, core_.now() + patience, std::move(done)});
  auto fail_at = [&](TimePoint when, const char* what) {
    core_.at(when, life.get(), [attempt, what] {
      StreamDone answer = std::move(attempt->done);
      answer(Error{Fault::kUnreachable, "connect to " + text(attempt->to) + ": " + what, ""});
    });
  };
  core_.trace("%s connects to %s", life->host.c_str(), text(to).c_str());
  const Site* site = find_site(to.host, *life);
  if (site == nullptr) return fail_at(core_.now() + core_.io_delay(), "no such host");
  const Link& link = link_between(life->host, site->name);
  const SimLinkSettings& settings = link.own_settings ? link.settings : link_;
  Duration there = settings.latency + core_.random_below(settings.jitter);
  if (link.parted || !site->up || core_.now() + 2 * there > attempt->deadline) {
    return fail_at(attempt->deadline, "Connection timed out");
  }
  core_.after(there, life.get(), [this, attempt] { arrive(attempt); });
}

// The first packet of a connection reaches the host that it is for.
void SimFabric::arrive(const std::shared_ptr<Attempt>& attempt) {
  const Site& site = *find_site(attempt->to.host, *attempt->life);
  const Link& link = link_between(attempt->life->host, site.name);
  const SimLinkSettings& settings = link.own_settings ? link.settings : link_;
  auto answer_at = [&](TimePoint when, const std::shared_ptr<std::unique_ptr<ByteStream>>& stream, const char* what) {
    core_.at(when, attempt->life.get(), [attempt, stream, what] {
      StreamDone answer = std::move(attempt->done);
      if (stream) return answer(std::move(*stream));
      answer(Error{Fault::kUnreachable, "connect to " + text(attempt->to) + ": " + what, ""});
    });
  };
  std::optional<std::uint16_t> number = port_number(attempt->to.port);
  std::shared_ptr<SimPort> port = number ? find_port(site.name, *number) : nullptr;
  if (link.parted || !site.up || (port != nullptr && port->backlog.size() >= kBacklogMax)) {
    return answer_at(attempt->deadline, nullptr, "Connection timed out");
  }
  TimePoint back = core_.now() + settings.latency + core_.random_below(settings.jitter);
  if (port == nullptr) return answer_at(std::min(back, attempt->deadline), nullptr, "Connection refused");
  SimConnection& connection = make_connection(attempt->life, port, link);
  bool within = site.name == attempt->life->host;
  std::string ephemeral = std::to_string(50000 + connection.number() % 10000);
  connection.name_peer(0, address(attempt->to.host) + ":" + attempt->to.port);
  connection.name_peer(1, address(within ? attempt->to.host : attempt->life->host) + ":" + ephemeral);
  auto stream = std::make_unique<SimSocket>(connection, 0, attempt->life);
  answer_at(back, std::make_shared<std::unique_ptr<ByteStream>>(std::move(stream)), "");
}

SimConnection& SimFabric::make_connection(const SimLifeRef& dialler, const std::shared_ptr<SimPort>& port,
                                          const Link& link) {
  std::size_t number = connections_.size();
  connections_.push_back(
      std::make_unique<SimConnection>(core_, number, dialler, port->life, link.own_settings ? link.settings : link_));
  SimConnection& connection = *connections_.back();
  core_.trace("#%zu is %s to %s:%u", number, dialler->host.c_str(), port->life->host.c_str(), unsigned{port->number});
  if (on_connection_) on_connection_(connection);
  for (const Plan& plan : plans_) {
    if (plan.connection_number == number) connection.inject(plan.fault);
  }
  add_chaos(connection);
  port->backlog.push_back(&connection);
  wake(port);
  return connection;
}

void SimFabric::add_chaos(SimConnection& connection) {
  SeededRandom& random = core_.random();
  if (chaos_.chance <= 0 || chaos_faults_ >= chaos_.faults_max || !random.chance(chaos_.chance)) return;
  ++chaos_faults_;
  SimFault fault;
  fault.action = static_cast<SimFault::Action>(random.below(chaos_.flips ? 5 : 4));
  fault.direction = static_cast<SimDirection>(random.below(2));
  bool by_bytes = fault.action == SimFault::Action::kFlip || random.below(2) == 0;
  if (by_bytes) fault.after_bytes = random.below(chaos_.bytes_max);
  fault.after = core_.random_below(chaos_.time_max);
  fault.stall = core_.random_below(chaos_.stall_max);
  fault.bit = static_cast<unsigned>(random.below(8));
  connection.inject(fault);
}

Result<std::shared_ptr<SimPort>> SimFabric::listen(const SimLifeRef& life, const Endpoint& at) {
  if (!is_any(at.host) && !is_this_host(at.host, *life)) {
    return Error{Fault::kUsage, "listen on " + text(at) + ": not an address of this host", ""};
  }
  std::optional<std::uint16_t> number = port_number(at.port);
  if (!number) return Error{Fault::kUsage, "listen on " + text(at) + ": no such service", ""};
  while (*number == 0) {
    last_port_ = last_port_ == 65535 ? 40001 : static_cast<std::uint16_t>(last_port_ + 1);
    if (find_port(life->host, last_port_) == nullptr) number = last_port_;
  }
  if (find_port(life->host, *number) != nullptr) {
    return Error{Fault::kUnreachable, "listen on " + text(at) + ": Address already in use", ""};
  }
  auto port = std::make_shared<SimPort>();
  port->life = life;
  port->number = *number;
  ports_.push_back(port);
  core_.trace("%s listens on %u", life->host.c_str(), unsigned{*number});
  return port;
}

void SimFabric::accept(const std::shared_ptr<SimPort>& port, StreamDone done) {
  ZF_ASSERT(!port->accepting && port->open);
  port->accepting = std::move(done);
  wake(port);
}

void SimFabric::wake(const std::shared_ptr<SimPort>& port) {
  if (!port->accepting || port->waking || port->backlog.empty()) return;
  port->waking = true;
  core_.after(core_.io_delay(), port->life.get(), [this, port] { serve(*port); });
}

void SimFabric::serve(SimPort& port) {
  port.waking = false;
  if (!port.accepting || port.backlog.empty()) return;
  SimConnection& connection = *port.backlog.front();
  port.backlog.pop_front();
  core_.trace("#%zu accepted", connection.number());
  StreamDone done = std::exchange(port.accepting, nullptr);
  done(Result<std::unique_ptr<ByteStream>>(std::make_unique<SimSocket>(connection, 1, port.life)));
}

void SimFabric::close(SimPort& port) {
  core_.trace("%s listens on %u no more", port.life->host.c_str(), unsigned{port.number});
  port.open = false;
  core_.bury(std::exchange(port.accepting, nullptr));
  for (SimConnection* connection : port.backlog) connection->crash(1, SimCrash::kReset);
  port.backlog.clear();
  std::erase_if(ports_, [](const auto& other) { return !other->open; });
}

void SimNetwork::connect(const Endpoint& to, Duration patience, StreamDone done) {
  if (life_->alive) fabric_.connect(life_, to, patience, std::move(done));
}

Result<std::unique_ptr<Listener>> SimNetwork::listen(const Endpoint& at) {
  if (!life_->alive) return Error{Fault::kUnreachable, "listen: this host has crashed", ""};
  Result<std::shared_ptr<SimPort>> port = fabric_.listen(life_, at);
  if (!port.ok()) return port.take_error();
  return Result<std::unique_ptr<Listener>>(std::make_unique<SimListener>(fabric_, std::move(*port)));
}

}  // namespace zferry::io
