// SimFabric: the network between the simulated hosts: who listens where, which connections there are, how links behave.
// SimNetwork is one run of one host's view of it. Single-threaded.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "io/network.h"
#include "io/sim_connection.h"
#include "io/sim_core.h"
#include "io/sim_fault.h"

namespace zferry::io {

// A port that someone listens on, with the connections that wait to be accepted.
struct SimPort {
  SimLifeRef life;
  std::uint16_t number = 0;
  bool open = true;
  std::deque<SimConnection*> backlog;
  StreamDone accepting;
  bool waking = false;
};

class SimFabric {
 public:
  explicit SimFabric(SimCore& core) : core_(core) {}

  // For tests. Names are those of hosts.
  SimLinkSettings& link() { return link_; }  // of new connections, where set_link() said nothing else
  void set_link(const std::string& one, const std::string& other, const SimLinkSettings& settings);
  // Silences the connections between the two and lets no new one through, until heal().
  void part(const std::string& one, const std::string& other);
  void heal(const std::string& one, const std::string& other);
  // Called as each connection is made, before its first byte: the place for settings(), inject() and tap().
  void on_connection(std::function<void(SimConnection&)> hook) { on_connection_ = std::move(hook); }
  // Injects the fault into the connection of this number, which is yet to be made.
  void plan(std::size_t connection_number, const SimFault& fault) { plans_.push_back({connection_number, fault}); }
  void set_chaos(const SimChaos& chaos) { chaos_ = chaos; }
  unsigned chaos_faults() const { return chaos_faults_; }  // struck so far, or about to
  std::size_t connection_count() const { return connections_.size(); }
  SimConnection& connection(std::size_t number) { return *connections_[number]; }

  // For hosts.
  void add_site(const std::string& name) { sites_.push_back({name, false}); }
  void set_up(std::size_t site, bool up);
  void crash(const SimLife& life, SimCrash how);
  void connect(const SimLifeRef& life, const Endpoint& to, Duration patience, StreamDone done);
  Result<std::shared_ptr<SimPort>> listen(const SimLifeRef& life, const Endpoint& at);
  void accept(const std::shared_ptr<SimPort>& port, StreamDone done);
  void close(SimPort& port);

 private:
  struct Site {
    std::string name;
    bool up;
  };
  struct Link {
    std::string one, other;
    bool parted = false;
    bool own_settings = false;
    SimLinkSettings settings;
  };
  struct Plan {
    std::size_t connection_number;
    SimFault fault;
  };
  struct Attempt;

  Link& link_between(const std::string& one, const std::string& other);
  const Site* find_site(const std::string& name, const SimLife& from) const;
  std::shared_ptr<SimPort> find_port(const std::string& host, std::uint16_t number);
  void arrive(const std::shared_ptr<Attempt>& attempt);
  SimConnection& make_connection(const SimLifeRef& dialler, const std::shared_ptr<SimPort>& port, const Link& link);
  void add_chaos(SimConnection& connection);
  void wake(const std::shared_ptr<SimPort>& port);
  void serve(SimPort& port);

  SimCore& core_;
  std::vector<Site> sites_;
  std::deque<Link> links_;
  std::vector<std::shared_ptr<SimPort>> ports_;
  std::vector<std::unique_ptr<SimConnection>> connections_;
  SimLinkSettings link_;
  std::vector<Plan> plans_;
  std::function<void(SimConnection&)> on_connection_;
  SimChaos chaos_;
  unsigned chaos_faults_ = 0;
  std::uint16_t last_port_ = 40000;
};

class SimNetwork final : public Network {
 public:
  SimNetwork(SimFabric& fabric, SimLifeRef life) : fabric_(fabric), life_(std::move(life)) {}
  void connect(const Endpoint& to, Duration patience, StreamDone done) override;
  Result<std::unique_ptr<Listener>> listen(const Endpoint& at) override;

 private:
  SimFabric& fabric_;
  SimLifeRef life_;
};

}  // namespace zferry::io
