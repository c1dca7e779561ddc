// Sealing and opening the frames of one lane in one direction. docs/PROTOCOL.md, "Frames".
// A Sealer owns its nonce counter: it starts at 0 with the lane's key, goes up by one a frame, is never stored and
// never set; a new lane is a new key. The key changes every 2^15 frames (epoch = sequence >> 15), derived one way from
// the lane's. Threading: one thread at a time each; not tied to a thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "seal/keys.h"

namespace zferry::seal {

enum class Cipher : std::uint8_t { kChaCha20Poly1305 = 1, kAes256Gcm = 2 };
inline constexpr std::size_t kTagBytes = 16;
inline constexpr int kEpochShift = 15;
std::string_view cipher_name(Cipher cipher);

// What this machine can do, the fastest first by a short measurement at first use (well under 5 ms). Always both or at
// least ChaCha.
const std::vector<Cipher>& ciphers_by_speed();

class Sealer {
 public:
  Sealer(Cipher cipher, SecretBytes key);
  Sealer(Sealer&&) noexcept;
  Sealer& operator=(Sealer&&) noexcept;
  ~Sealer();
  // Seals into `out` (plaintext.size() + kTagBytes bytes, may not overlap). `header` is authenticated as associated
  // data, with the sequence number. Source of randomness: none. ZF_ASSERTs that the sequence has not run out (2^62).
  void seal(ConstBytes header, ConstBytes plaintext, Bytes out);
  std::uint64_t sequence() const;  // frames sealed so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Opener {
 public:
  Opener(Cipher cipher, SecretBytes key);
  Opener(Opener&&) noexcept;
  Opener& operator=(Opener&&) noexcept;
  ~Opener();
  // Opens into `out` (sealed.size() - kTagBytes bytes; may be the same memory as `sealed`, else may not overlap).
  // Errors: kProtocol when the frame does not open; the counter then stands still, every later call fails too, and
  // `out` is garbage.
  Status open(ConstBytes header, ConstBytes sealed, Bytes out);
  std::uint64_t sequence() const;  // frames opened so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zferry::seal
