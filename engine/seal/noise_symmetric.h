// The symmetric half of a Noise handshake: chaining key, handshake hash and cipher key, over ChaChaPoly and BLAKE2b.
// Source: the Noise Protocol Framework, revision 34, sections 4.3 and 5.1 to 5.2. Threading: one thread at a time.
#pragma once

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "seal/keys.h"

namespace zferry::seal {

class NoiseSymmetric {
 public:
  static constexpr std::size_t kHashBytes = 64;
  static constexpr std::size_t kTagBytes = 16;
  using Hash = std::array<std::byte, kHashBytes>;

  // REQUIRES: protocol_name.size() <= kHashBytes.
  explicit NoiseSymmetric(std::string_view protocol_name);
  NoiseSymmetric(const NoiseSymmetric&) = delete;
  NoiseSymmetric& operator=(const NoiseSymmetric&) = delete;
  ~NoiseSymmetric();

  void mix_hash(ConstBytes bytes);
  void mix_key(ConstBytes material);
  void mix_key_and_hash(ConstBytes material);
  bool has_key() const { return has_key_; }
  // Appends to `message` the sealed form of `plain`. REQUIRES: has_key().
  void encrypt_and_hash(ConstBytes plain, std::vector<std::byte>& message);
  // False where it does not open; `plain` is then empty. REQUIRES: has_key(), sealed.size() >= kTagBytes.
  bool decrypt_and_hash(ConstBytes sealed, std::vector<std::byte>& plain);
  // The key of what the initiator sends, then of what the responder sends.
  std::pair<SecretBytes, SecretBytes> split() const;
  const Hash& hash() const { return hash_; }

 private:
  void set_key(ConstBytes key);

  Hash hash_{};
  Hash chaining_key_{};
  SecretBytes key_;
  bool has_key_ = false;
  std::uint64_t nonce_ = 0;
};

}  // namespace zferry::seal
