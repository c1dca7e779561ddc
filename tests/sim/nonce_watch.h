// Watches every sealed frame of the simulated ends: a key and a nonce together may be used once. It stands in for
// seal::fastest_aead() at link time (-Wl,--wrap, tests/sim/CMakeLists.txt), so the engine itself knows nothing of it.
// Single-threaded.
#pragma once

#include <cstdint>

namespace zferry::transfer {

struct NonceWatch {
  std::uint64_t sealed = 0;  // frames since forget()
  std::uint64_t reused = 0;  // of them: under a key and a nonce that had served before
};
const NonceWatch& nonce_watch();
// For the next seed: its keys may be the same ones.
void forget_nonces();

}  // namespace zferry::transfer
