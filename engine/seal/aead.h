// One AEAD under one key at a time: what a lane cipher seals with. Private to seal/ (and its tests and benchmark).
// Several implementations of a cipher give the same bytes; lane_cipher.cc picks the fastest. Threading: one thread at a
// time each.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "seal/keys.h"
#include "seal/lane_cipher.h"

namespace zferry::seal {

using AeadNonce = std::array<std::byte, 12>;

class Aead {
 public:
  virtual ~Aead() = default;
  virtual void set_key(const SecretBytes& key) = 0;
  // REQUIRES: out.size() == plain.size() + kTagBytes, no overlap, plain.size() < 2^30.
  virtual void seal(const AeadNonce& nonce, ConstBytes associated, ConstBytes plain, Bytes out) = 0;
  // False where it does not open; `out` is then garbage. REQUIRES: sealed.size() == out.size() + kTagBytes, < 2^30;
  // `out` may be the same memory as `sealed`.
  virtual bool open(const AeadNonce& nonce, ConstBytes associated, ConstBytes sealed, Bytes out) = 0;
};

// Nothing where this machine's OpenSSL does not offer the cipher. An object either seals or opens, not both.
std::unique_ptr<Aead> openssl_aead(Cipher cipher, bool sealing);
std::unique_ptr<Aead> sodium_chacha20_poly1305();

// The fastest implementation of the cipher here. REQUIRES: ciphers_by_speed() has it.
std::unique_ptr<Aead> fastest_aead(Cipher cipher, bool sealing);

// The key of an epoch: BLAKE2b-256 keyed with the lane's key over "zferry epoch", the cipher's number (u8) and the
// epoch (u64), so that no key ever serves two ciphers.
SecretBytes epoch_key(const SecretBytes& lane_key, Cipher cipher, std::uint64_t epoch);
// 4 zero bytes and the sequence, little-endian.
AeadNonce frame_nonce(std::uint64_t sequence);

}  // namespace zferry::seal
