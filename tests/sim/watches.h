// Watches of what the simulated ends do inside: every sealed frame (a key and a nonce together may be used once), and
// every ACK that a source reads. They stand in for seal::fastest_aead() and wire::decode_ack() at link time
// (-Wl,--wrap, tests/sim/CMakeLists.txt), so the engine knows nothing of them. Single-threaded.
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

}  // namespace zferry::transfer
