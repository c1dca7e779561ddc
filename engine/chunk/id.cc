#include "chunk/id.h"

#include <sodium.h>
#include <xxhash.h>

#include <memory>
#include <new>

namespace zferry::chunk {

static_assert(std::tuple_size_v<Id> == sizeof(XXH128_canonical_t));

IdKey::IdKey(const std::array<std::byte, 32>& seed, unsigned bits) : bits_(bits) {
  static_assert(sizeof secret_ >= XXH3_SECRET_SIZE_MIN && sizeof seed == crypto_stream_chacha20_KEYBYTES);
  const std::array<unsigned char, crypto_stream_chacha20_NONCEBYTES> nonce{};
  crypto_stream_chacha20(as_uchar(Bytes(secret_)), secret_.size(), nonce.data(), as_uchar(ConstBytes(seed)));
}

Id IdKey::id_of(std::span<const ConstBytes> pieces) const {
  XXH128_hash_t hash;
  if (pieces.size() == 1) {
    hash = XXH3_128bits_withSecret(pieces[0].data(), pieces[0].size(), secret_.data(), secret_.size());
  } else {
    const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
    if (!state) throw std::bad_alloc();
    XXH3_128bits_reset_withSecret(state.get(), secret_.data(), secret_.size());
    for (ConstBytes piece : pieces) XXH3_128bits_update(state.get(), piece.data(), piece.size());
    hash = XXH3_128bits_digest(state.get());
  }
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  Id id;
  std::memcpy(id.data(), canonical.digest, id.size());
  for (std::size_t bit = bits_; bit < 8 * id.size(); ++bit) id[bit / 8] &= ~(std::byte{0x80} >> (bit % 8));
  return id;
}

}  // namespace zferry::chunk
