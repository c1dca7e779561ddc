// HKDF over HMAC-BLAKE2b, and the state that it drives; libsodium computes the rest.
#include "seal/noise_symmetric.h"

#include <sodium.h>

#include <algorithm>

#include "seal/blake2b.h"

namespace zferry::seal {
namespace {

constexpr std::size_t kHashBytes = NoiseSymmetric::kHashBytes;
constexpr std::size_t kBlockBytes = 128;  // BLAKE2b's, as HMAC wants it
using Hash = NoiseSymmetric::Hash;
using Nonce = std::array<std::byte, crypto_aead_chacha20poly1305_IETF_NPUBBYTES>;

// A hash that is a secret: wiped when it goes.
struct SecretHash : Hash {
  SecretHash() : Hash{} {}
  SecretHash(const SecretHash&) = delete;
  SecretHash& operator=(const SecretHash&) = delete;
  ~SecretHash() { sodium_memzero(data(), size()); }
};

// HMAC-BLAKE2b over two pieces. REQUIRES: key.size() <= kBlockBytes.
void hmac(ConstBytes key, ConstBytes first, ConstBytes second, Bytes out) {
  std::array<std::byte, kBlockBytes> pad;
  auto fill_pad = [&](std::byte with) {
    pad.fill(with);
    for (std::size_t i = 0; i < key.size(); ++i) pad[i] ^= key[i];
  };
  SecretHash inner;
  fill_pad(std::byte{0x36});
  Blake2b(kHashBytes).add(pad).add(first).add(second).finish(inner);
  fill_pad(std::byte{0x5c});
  Blake2b(kHashBytes).add(pad).add(inner).finish(out);
  sodium_memzero(pad.data(), pad.size());
}

// HKDF of the specification: out[i] = HMAC(temp, out[i-1] || i).
template <std::size_t N>
void hkdf(ConstBytes chaining_key, ConstBytes material, std::array<SecretHash, N>& out) {
  SecretHash temp;
  hmac(chaining_key, material, {}, temp);
  for (std::size_t i = 0; i < N; ++i) {
    const std::byte number{static_cast<unsigned char>(i + 1)};
    hmac(temp, i == 0 ? ConstBytes{} : ConstBytes(out[i - 1]), {&number, 1}, out[i]);
  }
}

Nonce nonce_of(std::uint64_t counter) {
  Nonce nonce{};
  store_at(Bytes(nonce), 4, counter);
  return nonce;
}

}  // namespace

NoiseSymmetric::NoiseSymmetric(std::string_view protocol_name) {
  ZF_ASSERT(protocol_name.size() <= kHashBytes);
  std::ranges::copy(as_bytes(protocol_name), hash_.begin());
  chaining_key_ = hash_;
}

NoiseSymmetric::~NoiseSymmetric() { sodium_memzero(chaining_key_.data(), chaining_key_.size()); }

void NoiseSymmetric::set_key(ConstBytes key) {
  key_ = SecretBytes(key.first(kKeyBytes));
  has_key_ = true;
  nonce_ = 0;
}

void NoiseSymmetric::mix_hash(ConstBytes bytes) { Blake2b(kHashBytes).add(hash_).add(bytes).finish(hash_); }

void NoiseSymmetric::mix_key(ConstBytes material) {
  std::array<SecretHash, 2> out;
  hkdf(chaining_key_, material, out);
  std::ranges::copy(out[0], chaining_key_.begin());
  set_key(out[1]);
}

void NoiseSymmetric::mix_key_and_hash(ConstBytes material) {
  std::array<SecretHash, 3> out;
  hkdf(chaining_key_, material, out);
  std::ranges::copy(out[0], chaining_key_.begin());
  mix_hash(out[1]);
  set_key(out[2]);
}

void NoiseSymmetric::encrypt_and_hash(ConstBytes plain, std::vector<std::byte>& message) {
  ZF_ASSERT(has_key_);
  const std::size_t before = message.size();
  message.resize(before + plain.size() + kTagBytes);
  Bytes sealed = Bytes(message).subspan(before);
  const Nonce nonce = nonce_of(nonce_++);
  ZF_ASSERT(crypto_aead_chacha20poly1305_ietf_encrypt(as_uchar(sealed), nullptr, as_uchar(plain), plain.size(),
                                                      as_uchar(ConstBytes(hash_)), hash_.size(), nullptr,
                                                      as_uchar(ConstBytes(nonce)), as_uchar(key_.bytes())) == 0);
  mix_hash(sealed);
}

bool NoiseSymmetric::decrypt_and_hash(ConstBytes sealed, std::vector<std::byte>& plain) {
  ZF_ASSERT(has_key_ && sealed.size() >= kTagBytes);
  plain.resize(sealed.size() - kTagBytes);
  const Nonce nonce = nonce_of(nonce_);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(as_uchar(Bytes(plain)), nullptr, nullptr, as_uchar(sealed),
                                                sealed.size(), as_uchar(ConstBytes(hash_)), hash_.size(),
                                                as_uchar(ConstBytes(nonce)), as_uchar(key_.bytes())) != 0) {
    plain.clear();
    return false;
  }
  ++nonce_;
  mix_hash(sealed);
  return true;
}

std::pair<SecretBytes, SecretBytes> NoiseSymmetric::split() const {
  std::array<SecretHash, 2> out;
  hkdf(chaining_key_, {}, out);
  return {SecretBytes(ConstBytes(out[0]).first(kKeyBytes)), SecretBytes(ConstBytes(out[1]).first(kKeyBytes))};
}

}  // namespace zferry::seal
