// The Noise handshake of one lane: IK and NNpsk0 over X25519, ChaChaPoly, BLAKE2b. docs/PROTOCOL.md, "Handshake".
// Sans I/O: messages in, messages out. Source: the Noise Protocol Framework, revision 34.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "seal/keys.h"

namespace zferry::seal {

// The Diffie-Hellman function: X25519, or the simulator's cheap stand-in (of no security whatever).
class Dh {
 public:
  virtual ~Dh() = default;
  virtual PublicKey public_of(const SecretBytes& private_key) const = 0;
  // False where the shared secret would be all zero (a peer's key of low order).
  virtual bool shared(const SecretBytes& private_key, const PublicKey& peer, SecretBytes& out) const = 0;
};
const Dh& x25519();

inline constexpr std::size_t kHandshakeHashBytes = 64;

// What a completed handshake leaves: one key a direction, and the hash of the transcript for binding.
struct HandshakeKeys {
  SecretBytes send;
  SecretBytes receive;
  std::array<std::byte, kHandshakeHashBytes> transcript;
  std::optional<PublicKey> peer;  // IK: the peer's static key, proven
};

class Handshake {
 public:
  // The dialler knows the listener's static key.
  static Handshake ik_initiator(const Dh& dh, RandomSource& random, const SecretBytes& own, const PublicKey& peer,
                                ConstBytes prologue);
  static Handshake ik_responder(const Dh& dh, RandomSource& random, const SecretBytes& own, ConstBytes prologue);
  static Handshake nnpsk0(const Dh& dh, RandomSource& random, bool initiator, const SecretBytes& secret,
                          ConstBytes prologue);
  Handshake(Handshake&&) noexcept;
  Handshake& operator=(Handshake&&) noexcept;
  ~Handshake();

  // Bytes that message 1 or 2 adds to its payload: IK 96 and 48, NNpsk0 48 and 48.
  std::size_t overhead(int message) const;
  // The next message with this payload. REQUIRES: it is this end's turn.
  std::vector<std::byte> write_message(ConstBytes payload);
  // The payload of the peer's message. Errors: kNotAllowed (does not open: a wrong key, a wrong secret, or damage). A
  // failed read ends the handshake; nothing of it may be used afterwards.
  Result<std::vector<std::byte>> read_message(ConstBytes message);
  // IK responder, after message 1: who claims to be there. Proven only when the first transport frame opens (message 1
  // can be replayed).
  std::optional<PublicKey> remote_static() const;
  bool complete() const;
  // REQUIRES: complete(). Once.
  HandshakeKeys take_keys();

 private:
  struct State;
  explicit Handshake(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace zferry::seal
