// Watches of what the simulated ends do inside: every sealed frame (a key and a nonce together may be used once),
// every ACK that a source reads, and what becomes of blocks that are made of chunks. They stand in for functions of the
// engine at link time (-Wl,--wrap, tests/sim/CMakeLists.txt), which knows nothing of them. Single-threaded.
#pragma once

#include <cstdint>
#include <functional>

#include "wire/messages.h"

namespace zferry::transfer {

struct NonceWatch {
  std::uint64_t sealed = 0;  // frames since forget_nonces()
  std::uint64_t reused = 0;  // of them: under a key and a nonce that had served before
};
const NonceWatch& nonce_watch();
// For the next seed: its keys may be the same ones.
void forget_nonces();

// Empty: nobody looks.
void watch_acks(std::function<void(const wire::Ack&)> look);

// Counts, over all seeds so far.
struct ChunkWatch {
  std::uint64_t recipes = 0;        // blocks that were packed as such
  std::uint64_t proofs_failed = 0;  // of blocks that were put together
  std::uint64_t replayed = 0;       // recipes read back from a store, for a new consumer or a new target
  std::uint64_t pins = 0;           // of segments that a block is made of
  std::uint64_t pins_refused = 0;   // they were gone
};
const ChunkWatch& chunk_watch();

// NEEDs, as a target says them. Empty: nobody looks.
void watch_needs(std::function<void(const wire::Need&)> look);

}  // namespace zferry::transfer
