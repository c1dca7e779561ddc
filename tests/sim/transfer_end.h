// One simulated end, from its start to its end: the program's objects, and what they stand on. For every simulation of
// the whole program. Single-threaded.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/lifeline.h"
#include "base/random.h"
#include "flow/workers.h"
#include "io/sim_world.h"
#include "pipeline/source.h"
#include "pipeline/target.h"
#include "transfer_run.h"

namespace zferry::transfer {

inline seal::SecretBytes fixed_secret(char letter) {
  return seal::SecretBytes(std::vector<std::byte>(seal::kKeyBytes, static_cast<std::byte>(letter)));
}

inline pipeline::LaneSettings lane_settings(const Scenario& scenario) {
  using seal::Cipher;
  static const std::vector<std::vector<Cipher>> lists = {{Cipher::kChaCha20Poly1305},
                                                         {Cipher::kAes256Gcm},
                                                         {Cipher::kAes256Gcm, Cipher::kChaCha20Poly1305},
                                                         {Cipher::kChaCha20Poly1305, Cipher::kAes256Gcm}};
  pipeline::LaneSettings lane;
  lane.ciphers = lists[scenario.ciphers];
  lane.block_bytes = scenario.block_bytes;
  lane.frame_bytes = scenario.frame_bytes;
  lane.rate_bytes_per_s = scenario.rate_bytes_per_s;
  return lane;
}

// Workers as threads are: what is given to them is done some time later, in any order, also once nobody waits for it.
class LateWorkers final : public flow::Workers {
 public:
  LateWorkers(io::Loop& loop, RandomSource& random) : loop_(loop), random_(random) {}
  void run(std::function<void()> job, std::function<void()> done) override {
    std::uint32_t number = 0;
    random_.fill(std::as_writable_bytes(std::span(&number, 1)));
    Duration longest = number % 2 == 0 ? std::chrono::milliseconds(3) : std::chrono::microseconds(200);
    bool at_once = number / 2 % 2 == 0;
    if (at_once) job();
    loop_.after(Duration(number % longest.count()), [at_once, job = std::move(job), done = std::move(done)] {
      if (!at_once) job();
      done();
    });
  }

 private:
  io::Loop& loop_;
  RandomSource& random_;
};

// The worker of a store: one job after the other, each some time later. Most disks are fast, and sometimes slow.
class LateDisk final : public flow::Workers {
 public:
  LateDisk(io::Loop& loop, RandomSource& random, Duration longest) : loop_(loop), random_(random), longest_(longest) {}
  void run(std::function<void()> job, std::function<void()> done) override {
    jobs_.push_back({std::move(job), std::move(done)});
    if (jobs_.size() == 1) plan();
  }

 private:
  struct Job {
    std::function<void()> job, done;
  };
  void plan() {
    std::uint32_t number = 0;
    random_.fill(std::as_writable_bytes(std::span(&number, 1)));
    bool slow = number % 4 == 0;
    std::int64_t most = (slow ? longest_ : longest_ / 16).count() + 1;
    loop_.after(Duration(number / 4 % most), lifeline_.guard([this] {
      jobs_.front().job();  // its host may crash in it: then the loop is no more
      loop_.post(lifeline_.guard([this] {
        Job over = std::move(jobs_.front());
        jobs_.pop_front();
        if (!jobs_.empty()) plan();
        over.done();
      }));
    }));
  }

  io::Loop& loop_;
  RandomSource& random_;
  const Duration longest_;
  std::deque<Job> jobs_;  // the first one is under way
  Lifeline lifeline_;
};

inline std::unique_ptr<flow::Workers> make_workers(const Scenario& scenario, io::Loop& loop, RandomSource& random) {
  if (scenario.late_workers) return std::make_unique<LateWorkers>(loop, random);
  return std::make_unique<flow::InlineWorkers>([&loop](std::function<void()> task) { loop.post(std::move(task)); });
}

// One end, from its start to its end: the program's objects, and what they stand on.
template <class End, class Settings>
struct Side {
  Side(io::SimHost& machine_arg, const Scenario& scenario, const seal::Dh& dh, std::uint64_t seed)
      : machine(machine_arg),
        random(seed),
        worker_random(~seed),
        workers(make_workers(scenario, loop, worker_random)),
        disk(loop, worker_random, scenario.disk_time_max),
        host{loop, machine.network(), machine.processes(), machine.files(), *workers, disk, random, dh} {}
  void start(EndLog& log) {
    end = std::make_unique<End>(host, settings, [&log](const pipeline::Report& report) { log.report = report; });
    machine.on_interrupt([this](int number) {
      if (end) end->interrupt(number);
    });
    end->start();
  }

  io::SimHost& machine;
  io::Loop& loop = machine.loop();
  SeededRandom random;
  SeededRandom worker_random;
  std::unique_ptr<flow::Workers> workers;
  LateDisk disk;
  pipeline::Host host;
  Settings settings;
  std::unique_ptr<End> end;
};

}  // namespace zferry::transfer
