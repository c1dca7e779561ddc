// A simulated host for the contract suite: the same promises, in virtual time. One thread.
#pragma once

#include <memory>
#include <string>

#include "contract/host_under_test.h"
#include "io/sim_world.h"

namespace zferry::io::contract {

class Simulated final : public HostUnderTest {
 public:
  explicit Simulated(std::uint64_t seed) : world_(seed), host_(world_.add_host("host")) {}
  Loop& loop() override { return host_.loop(); }
  Network& network() override { return host_.network(); }
  Processes& processes() override { return host_.processes(); }
  Files& files() override { return host_.files(); }
  void run() override {
    stopped_ = false;
    while (!stopped_ && world_.step()) {
    }
  }
  void stop() override { stopped_ = true; }

 private:
  SimWorld world_;
  SimHost& host_;
  bool stopped_ = false;
};

inline BackEnd simulated(std::uint64_t seed) {
  return {"sim", false, [seed](const std::string&) -> Result<std::unique_ptr<HostUnderTest>> {
            return std::unique_ptr<HostUnderTest>(std::make_unique<Simulated>(seed));
          }};
}

}  // namespace zferry::io::contract
