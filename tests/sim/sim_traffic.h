// Small programs for the simulator's own tests: a connected pair of streams, a sender, a receiver, all over the io
// interfaces alone.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/sim_world.h"

namespace zferry::io {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  std::vector<std::byte> bytes(count);
  SeededRandom(seed).fill(bytes);
  return bytes;
}

// Writes all of `bytes` in blocks of random length, one after the other.
struct Sender {
  ByteStream& stream;
  std::vector<std::byte> bytes;
  SeededRandom random;
  std::size_t block_bytes_max = 64 * 1024;
  bool ends = true;  // shutdown_write() after the last byte
  std::size_t accepted = 0;
  bool done = false;
  Fault fault = Fault::kNone;

  Sender(ByteStream& to, std::vector<std::byte> what, std::uint64_t seed)
      : stream(to), bytes(std::move(what)), random(seed) {}
  void go() {
    if (accepted == bytes.size()) {
      if (ends) stream.shutdown_write();
      done = true;
      return;
    }
    std::size_t count = std::min<std::size_t>(1 + random.below(block_bytes_max), bytes.size() - accepted);
    // The completion owns the memory, as everywhere.
    auto block =
        std::make_shared<std::vector<std::byte>>(bytes.begin() + static_cast<std::ptrdiff_t>(accepted),
                                                 bytes.begin() + static_cast<std::ptrdiff_t>(accepted + count));
    stream.write(*block, [this, block](Result<std::size_t> result) {
      if (!result.ok()) {
        fault = result.error().fault;
        done = true;
        return;
      }
      accepted += *result;
      go();
    });
  }
};

// Reads until the end or an error, into buffers of random length.
struct Receiver {
  ByteStream& stream;
  SeededRandom random;
  std::size_t buffer_bytes_max = 64 * 1024;
  std::vector<std::byte> bytes{};
  std::size_t reads = 0;
  bool ended = false;
  Fault fault = Fault::kNone;
  Loop* loop = nullptr;  // with it, waits before each read
  Duration pause{0};

  Receiver(ByteStream& from, std::uint64_t seed) : stream(from), random(seed) {}
  bool done() const { return ended || fault != Fault::kNone; }
  void go() {
    auto buffer = std::make_shared<std::vector<std::byte>>(1 + random.below(buffer_bytes_max));
    stream.read(*buffer, [this, buffer](Result<std::size_t> result) {
      if (!result.ok()) {
        fault = result.error().fault;
        return;
      }
      ++reads;
      bytes.insert(bytes.end(), buffer->begin(), buffer->begin() + static_cast<std::ptrdiff_t>(*result));
      ended = *result == 0;
      if (ended) return;
      loop == nullptr ? go() : static_cast<void>(loop->after(pause, [this] { go(); }));
    });
  }
};

// Two hosts and a connection between them, made through the interfaces.
struct Pair {
  SimWorld world;
  SimHost& source;
  SimHost& target;
  std::unique_ptr<Listener> listener{};
  std::unique_ptr<ByteStream> dialled{};
  std::unique_ptr<ByteStream> accepted{};

  explicit Pair(std::uint64_t seed) : world(seed), source(world.add_host("source")), target(world.add_host("target")) {}
  // Whether it came about.
  bool connect() {
    listener = std::move(target.network().listen({"", "9443"})).value();
    listener->accept([this](Result<std::unique_ptr<ByteStream>> stream) { accepted = std::move(stream).value(); });
    source.network().connect({"target", "9443"}, seconds(10), [this](Result<std::unique_ptr<ByteStream>> stream) {
      if (stream.ok()) dialled = std::move(stream).value();
    });
    return world.run_until([this] { return dialled && accepted; }, seconds(20));
  }
  SimConnection& connection() { return world.network().connection(0); }
};

}  // namespace zferry::io
