// Poly1305 under a one-time key, incremental. Private to seal/ (and its tests). OpenSSL's is the fast one; libsodium's
// steps in where OpenSSL does not offer it. Both give the same tags. Threading: one thread at a time each.
#pragma once

#include <array>
#include <memory>

#include <sodium.h>

#include "base/bytes.h"
#include "seal/keys.h"

struct evp_mac_ctx_st;  // OpenSSL's EVP_MAC_CTX

namespace zferry::seal {

class Poly1305 {
 public:
  static constexpr std::size_t kTagBytes = 16;
  using Tag = std::array<std::byte, kTagBytes>;
  enum class By { kFastest, kSodium };

  explicit Poly1305(const SecretBytes& one_time_key, By by = By::kFastest);
  Poly1305(Poly1305&&) noexcept = default;
  Poly1305& operator=(Poly1305&&) noexcept = default;
  ~Poly1305();
  void add(ConstBytes bytes);
  // The tag of what was added so far; more may be added afterwards. The one-time key must not show: a tag of a part and
  // one of the whole, both seen by a peer that chose the content, would give it away.
  Tag tag() const;

 private:
  struct FreeContext {
    void operator()(evp_mac_ctx_st* context) const;
  };
  std::unique_ptr<evp_mac_ctx_st, FreeContext> openssl_;
  crypto_onetimeauth_state sodium_{};  // used where openssl_ is empty
};

}  // namespace zferry::seal
