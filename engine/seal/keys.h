// Keys of a host and the secret of a pair: their bytes, their text, their files. docs/PROTOCOL.md, "Keys".
// Private bytes are wiped when their owner goes; they are never printed but by private_key_text() and secret_text().
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"

namespace zferry::seal {

inline constexpr std::size_t kKeyBytes = 32;
using PublicKey = std::array<std::byte, kKeyBytes>;

// 32 secret bytes, wiped on destruction and on being moved from. Copies are explicit.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(ConstBytes bytes);  // REQUIRES: 32 bytes
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();
  SecretBytes copy() const { return SecretBytes(bytes()); }
  ConstBytes bytes() const { return bytes_; }
  Bytes writable() { return bytes_; }
  static SecretBytes random(RandomSource& random);

 private:
  std::array<std::byte, kKeyBytes> bytes_{};
};

// X25519, clamped as the library does. The public half of a private key.
PublicKey public_key(const SecretBytes& private_key);

// One line of text each, told apart by prefix, with a check so that a mistyped or cut key is noticed:
// "zferry-private-…", "zferry-public-…", "zferry-secret-…" (docs/PROTOCOL.md gives the encoding).
std::string private_key_text(const SecretBytes& key);
std::string secret_text(const SecretBytes& secret);
std::string public_key_text(const PublicKey& key);
// Errors: kConfig, naming what was expected; the text itself never appears in the error. Space around the text is
// ignored.
Result<SecretBytes> parse_private_key(const std::string& text);
Result<SecretBytes> parse_secret(const std::string& text);
Result<PublicKey> parse_public_key(const std::string& text);

}  // namespace zferry::seal
