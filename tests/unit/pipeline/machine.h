// What the pipeline's tests run on: a simulated host with seeded randomness and workers whose results come late and in
// any order; credentials of two ends; and a lane's keys without a handshake. One thread.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "io/sim_world.h"
#include "pipeline/host.h"
#include "pipeline/lane_keys.h"
#include "pipeline/settings.h"

namespace zferry::pipeline::testing {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline std::vector<std::byte> random_bytes(SeededRandom& random, std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  random.fill(out);
  return out;
}

// Some of it compresses: runs of one byte, and noise.
inline std::vector<std::byte> mixed_bytes(SeededRandom& random, std::size_t bytes) {
  std::vector<std::byte> out;
  while (out.size() < bytes) {
    std::size_t run = std::min<std::size_t>(1 + random.below(40'000), bytes - out.size());
    if (random.chance(0.5)) {
      out.insert(out.end(), run, static_cast<std::byte>(random.below(256)));
    } else {
      std::vector<std::byte> noise = random_bytes(random, run);
      out.insert(out.end(), noise.begin(), noise.end());
    }
  }
  return out;
}

// A job runs at once, its result comes some time later, others' before it perhaps; or when the test lets it.
class LateWorkers final : public flow::Workers {
 public:
  LateWorkers(io::Loop& loop, std::uint64_t seed) : loop_(loop), random_(seed) {}
  void run(std::function<void()> job, std::function<void()> done) override {
    job();
    ++jobs;
    if (hold) {
      held.push_back(std::move(done));
    } else {
      loop_.after(Duration(static_cast<std::int64_t>(random_.below(200'000))), std::move(done));
    }
  }
  // Lets what was held go, in the order of the jobs.
  void release() {
    hold = false;
    for (; !held.empty(); held.pop_front()) loop_.post(std::move(held.front()));
  }

  bool hold = false;
  std::deque<std::function<void()>> held;
  std::uint64_t jobs = 0;

 private:
  io::Loop& loop_;
  SeededRandom random_;
};

// What one simulated host gives to a pipeline.
struct Machine {
  io::SimHost& sim;
  SeededRandom random;
  LateWorkers workers;
  flow::InlineWorkers disk;
  Host host;

  Machine(io::SimHost& of, std::uint64_t seed)
      : sim(of),
        random(seed),
        workers(of.loop(), seed + 1),
        disk([&loop = of.loop()](std::function<void()> task) { loop.post(std::move(task)); }),
        host{of.loop(), of.network(), of.processes(), of.files(), workers, disk, random, seal::x25519()} {}
};

// A world with one host in it, for what needs no peer.
struct OneMachine {
  io::SimWorld world;
  Machine machine;

  explicit OneMachine(std::uint64_t seed) : world(seed), machine(world.add_host("host"), seed) {}
  Host& host() { return machine.host; }
};

// Two ends that know each other.
struct Pairing {
  Credentials dialler;
  Credentials listener;
};
inline Pairing pair_by_keys(RandomSource& random) {
  Pairing pair;
  pair.dialler.own = seal::SecretBytes::random(random);
  pair.listener.own = seal::SecretBytes::random(random);
  pair.dialler.peer = seal::public_key(*pair.listener.own);
  pair.listener.allowed = {seal::public_key(seal::SecretBytes::random(random)), seal::public_key(*pair.dialler.own)};
  return pair;
}
inline Pairing pair_by_secret(RandomSource& random) {
  Pairing pair;
  pair.dialler.secret = seal::SecretBytes::random(random);
  pair.listener.secret = pair.dialler.secret->copy();
  return pair;
}

inline LaneSettings lane_settings() {
  LaneSettings lane;
  lane.ciphers = {seal::Cipher::kChaCha20Poly1305};
  return lane;
}

// Keys as after a handshake: what `one` seals `other` opens, and the other way round.
inline void give_keys(RandomSource& random, EstablishedLane& one, EstablishedLane& other) {
  constexpr auto cipher = seal::Cipher::kChaCha20Poly1305;
  for (auto [from, to] : {std::pair(&one, &other), std::pair(&other, &one)}) {
    seal::SecretBytes key = seal::SecretBytes::random(random);
    from->cipher = cipher;
    from->sealer = std::make_unique<seal::Sealer>(cipher, key.copy());
    to->opener = std::make_unique<seal::Opener>(cipher, std::move(key));
  }
}

}  // namespace zferry::pipeline::testing
