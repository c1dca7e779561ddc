// ChaCha20-Poly1305 by libsodium: there on every machine, whatever OpenSSL was configured to offer.
#include <sodium.h>

#include "seal/aead.h"

namespace zferry::seal {
namespace {

class SodiumChacha final : public Aead {
 public:
  void set_key(const SecretBytes& key) override { key_ = key.copy(); }

  void seal(const AeadNonce& nonce, ConstBytes associated, ConstBytes plain, Bytes out) override {
    ZF_ASSERT(out.size() == plain.size() + kTagBytes);
    ZF_ASSERT(crypto_aead_chacha20poly1305_ietf_encrypt(as_uchar(out), nullptr, as_uchar(plain), plain.size(),
                                                        as_uchar(associated), associated.size(), nullptr,
                                                        as_uchar(ConstBytes(nonce)), as_uchar(key_.bytes())) == 0);
  }

  bool open(const AeadNonce& nonce, ConstBytes associated, ConstBytes sealed, Bytes out) override {
    ZF_ASSERT(sealed.size() == out.size() + kTagBytes);
    return crypto_aead_chacha20poly1305_ietf_decrypt(as_uchar(out), nullptr, nullptr, as_uchar(sealed), sealed.size(),
                                                     as_uchar(associated), associated.size(),
                                                     as_uchar(ConstBytes(nonce)), as_uchar(key_.bytes())) == 0;
  }

 private:
  SecretBytes key_;
};

}  // namespace

std::unique_ptr<Aead> sodium_chacha20_poly1305() {
  static const bool ready = sodium_init() >= 0;
  ZF_ASSERT(ready);
  return std::make_unique<SodiumChacha>();
}

}  // namespace zferry::seal
