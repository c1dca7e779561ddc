// RestSealer and RestOpener: an AEAD each, and the rule that places go up.
#include "seal/rest_cipher.h"

#include <algorithm>

#include "seal/aead.h"

namespace zferry::seal {

Cipher rest_cipher() { return ciphers_by_speed().front(); }
bool has_rest_cipher(Cipher cipher) { return std::ranges::count(ciphers_by_speed(), cipher) == 1; }

RestSealer::RestSealer(Cipher cipher, const SecretBytes& key) : aead_(fastest_aead(cipher, true)) {
  aead_->set_key(key);
}
RestSealer::RestSealer(RestSealer&&) noexcept = default;
RestSealer& RestSealer::operator=(RestSealer&&) noexcept = default;
RestSealer::~RestSealer() = default;

void RestSealer::seal(std::uint64_t place, ConstBytes associated, ConstBytes plain, Bytes out) {
  ZF_ASSERT(place >= next_place_);
  next_place_ = place + 1;
  aead_->seal(frame_nonce(place), associated, plain, out);
}

RestOpener::RestOpener(Cipher cipher, const SecretBytes& key) : aead_(fastest_aead(cipher, false)) {
  aead_->set_key(key);
}
RestOpener::RestOpener(RestOpener&&) noexcept = default;
RestOpener& RestOpener::operator=(RestOpener&&) noexcept = default;
RestOpener::~RestOpener() = default;

bool RestOpener::open(std::uint64_t place, ConstBytes associated, ConstBytes sealed, Bytes out) {
  return aead_->open(frame_nonce(place), associated, sealed, out);
}

}  // namespace zferry::seal
