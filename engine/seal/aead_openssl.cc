// AES-256-GCM and ChaCha20-Poly1305 by OpenSSL. The EVP context lives as long as the object and keeps its key schedule;
// a frame sets the nonce only.
#include <openssl/evp.h>

#include <limits>

#include "seal/aead.h"

namespace zferry::seal {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

int int_of(std::size_t bytes) {
  ZF_ASSERT(bytes < std::size_t{1} << 30);  // OpenSSL counts in int
  return static_cast<int>(bytes);
}

class OpensslAead final : public Aead {
 public:
  OpensslAead(const EVP_CIPHER* cipher, bool sealing) : context_(EVP_CIPHER_CTX_new()), sealing_(sealing) {
    ZF_ASSERT(context_ != nullptr);
    ZF_ASSERT(EVP_CipherInit_ex2(context_.get(), cipher, nullptr, nullptr, sealing, nullptr) == 1);
    ZF_ASSERT(EVP_CIPHER_CTX_get_iv_length(context_.get()) == int{sizeof(AeadNonce)});
  }

  void set_key(const SecretBytes& key) override {
    ZF_ASSERT(EVP_CipherInit_ex2(context_.get(), nullptr, as_uchar(key.bytes()), nullptr, sealing_, nullptr) == 1);
  }

  void seal(const AeadNonce& nonce, ConstBytes associated, ConstBytes plain, Bytes out) override {
    ZF_ASSERT(sealing_ && out.size() == plain.size() + kTagBytes);
    start(nonce, associated);
    ZF_ASSERT(update(plain, out));
    int more = 0;
    unsigned char* tag = as_uchar(out) + plain.size();
    ZF_ASSERT(EVP_CipherFinal_ex(context_.get(), tag, &more) == 1 && more == 0);
    ZF_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1);
  }

  bool open(const AeadNonce& nonce, ConstBytes associated, ConstBytes sealed, Bytes out) override {
    ZF_ASSERT(!sealing_ && sealed.size() == out.size() + kTagBytes);
    std::array<unsigned char, kTagBytes> tag;
    std::memcpy(tag.data(), sealed.data() + out.size(), tag.size());
    start(nonce, associated);
    ZF_ASSERT(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1);
    if (!update(sealed.first(out.size()), out)) return false;
    int more = 0;
    unsigned char nothing = 0;  // the final call writes no bytes, but wants a place
    return EVP_CipherFinal_ex(context_.get(), &nothing, &more) == 1;
  }

 private:
  void start(const AeadNonce& nonce, ConstBytes associated) {
    ZF_ASSERT(EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, as_uchar(ConstBytes(nonce)), sealing_, nullptr) ==
              1);
    int done = 0;
    ZF_ASSERT(EVP_CipherUpdate(context_.get(), nullptr, &done, as_uchar(associated), int_of(associated.size())) == 1);
  }
  bool update(ConstBytes from, Bytes to) {
    if (from.empty()) return true;
    int done = 0;
    return EVP_CipherUpdate(context_.get(), as_uchar(to), &done, as_uchar(from), int_of(from.size())) == 1 &&
           done == int_of(from.size());
  }

  Context context_;
  bool sealing_;
};

// Fetched once a process; null where the provider has it not (a FIPS-only configuration has no ChaCha20).
const EVP_CIPHER* fetched(Cipher cipher) {
  static const EVP_CIPHER* const aes = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  static const EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  return cipher == Cipher::kAes256Gcm ? aes : chacha;
}

}  // namespace

std::unique_ptr<Aead> openssl_aead(Cipher cipher, bool sealing) {
  const EVP_CIPHER* found = fetched(cipher);
  return found ? std::make_unique<OpensslAead>(found, sealing) : nullptr;
}

}  // namespace zferry::seal
