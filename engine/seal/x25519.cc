// X25519 by libsodium. Peers' keys of low order are refused: their shared secret is all zero, whatever our key.
#include <sodium.h>

#include "seal/noise.h"

namespace zferry::seal {
namespace {

class X25519 final : public Dh {
 public:
  PublicKey public_of(const SecretBytes& private_key) const override {
    PublicKey key;
    ZF_ASSERT(crypto_scalarmult_curve25519_base(as_uchar(Bytes(key)), as_uchar(private_key.bytes())) == 0);
    return key;
  }
  bool shared(const SecretBytes& private_key, const PublicKey& peer, SecretBytes& out) const override {
    if (crypto_scalarmult_curve25519(as_uchar(out.writable()), as_uchar(private_key.bytes()),
                                     as_uchar(ConstBytes(peer))) != 0)
      return false;
    return sodium_is_zero(as_uchar(out.bytes()), out.bytes().size()) == 0;  // older libsodium leaves this to the caller
  }
};

}  // namespace

const Dh& x25519() {
  static const bool ready = sodium_init() >= 0;
  ZF_ASSERT(ready);
  static const X25519 dh;
  return dh;
}

}  // namespace zferry::seal
