// Sealing at rest: the entries of one file under one key, the nonce of an entry being its place in the file.
// docs/STORE.md. A sealer belongs to one writing of one file, from empty on; places only go up, so no nonce comes twice
// under a key as long as no second sealer gets the same key. Threading: one thread at a time each.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "seal/keys.h"
#include "seal/lane_cipher.h"

namespace zferry::seal {

// The faster one here.
Cipher rest_cipher();
// Whether this machine can open what another sealed with it.
bool has_rest_cipher(Cipher cipher);

class Aead;

class RestSealer {
 public:
  // REQUIRES: has_rest_cipher(cipher); a key that nothing else seals with.
  RestSealer(Cipher cipher, const SecretBytes& key);
  RestSealer(RestSealer&&) noexcept;
  RestSealer& operator=(RestSealer&&) noexcept;
  ~RestSealer();
  // REQUIRES: a place beyond all before; out.size() == plain.size() + kTagBytes, no overlap.
  void seal(std::uint64_t place, ConstBytes associated, ConstBytes plain, Bytes out);

 private:
  std::unique_ptr<Aead> aead_;
  std::uint64_t next_place_ = 0;
};

class RestOpener {
 public:
  // REQUIRES: has_rest_cipher(cipher).
  RestOpener(Cipher cipher, const SecretBytes& key);
  RestOpener(RestOpener&&) noexcept;
  RestOpener& operator=(RestOpener&&) noexcept;
  ~RestOpener();
  // False where it does not open; `out` is then garbage. REQUIRES: sealed.size() == out.size() + kTagBytes; `out` may
  // be the same memory as `sealed`.
  bool open(std::uint64_t place, ConstBytes associated, ConstBytes sealed, Bytes out);

 private:
  std::unique_ptr<Aead> aead_;
};

}  // namespace zferry::seal
