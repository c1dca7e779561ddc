// Poly1305 by EVP_MAC, or by libsodium where there is none.
#include "seal/poly1305.h"

#include <openssl/evp.h>

namespace zferry::seal {
namespace {

// Fetched once a process; null where no provider has it.
EVP_MAC* fetched() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
  return mac;
}

}  // namespace

void Poly1305::FreeContext::operator()(evp_mac_ctx_st* context) const { EVP_MAC_CTX_free(context); }

Poly1305::Poly1305(const SecretBytes& one_time_key, By by) {
  ConstBytes key = one_time_key.bytes();
  if (by == By::kFastest && fetched() != nullptr) {
    openssl_.reset(EVP_MAC_CTX_new(fetched()));
    ZF_ASSERT(openssl_ != nullptr);
    ZF_ASSERT(EVP_MAC_init(openssl_.get(), as_uchar(key), key.size(), nullptr) == 1);
    return;
  }
  static const bool ready = sodium_init() >= 0;
  ZF_ASSERT(ready);
  ZF_ASSERT(crypto_onetimeauth_init(&sodium_, as_uchar(key)) == 0);
}

Poly1305::~Poly1305() { sodium_memzero(&sodium_, sizeof sodium_); }

void Poly1305::add(ConstBytes bytes) {
  if (bytes.empty()) return;
  if (openssl_)
    ZF_ASSERT(EVP_MAC_update(openssl_.get(), as_uchar(bytes), bytes.size()) == 1);
  else
    ZF_ASSERT(crypto_onetimeauth_update(&sodium_, as_uchar(bytes), bytes.size()) == 0);
}

Poly1305::Tag Poly1305::tag() const {
  Tag tag;
  if (openssl_) {
    std::unique_ptr<evp_mac_ctx_st, FreeContext> copy(EVP_MAC_CTX_dup(openssl_.get()));
    std::size_t bytes = 0;
    ZF_ASSERT(copy != nullptr);
    ZF_ASSERT(EVP_MAC_final(copy.get(), as_uchar(Bytes(tag)), &bytes, tag.size()) == 1 && bytes == tag.size());
  } else {
    crypto_onetimeauth_state copy = sodium_;
    ZF_ASSERT(crypto_onetimeauth_final(&copy, as_uchar(Bytes(tag))) == 0);
    sodium_memzero(&copy, sizeof copy);
  }
  return tag;
}

}  // namespace zferry::seal
