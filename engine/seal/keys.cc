// Keys and their text: prefix, then base64url without padding of the 32 bytes and a check of 4: the first bytes of
// BLAKE2b-256 over prefix and key. 36 bytes make 48 characters with nothing left over, so each key has exactly one
// text.
#include "seal/keys.h"

#include <sodium.h>

#include <algorithm>
#include <string_view>

#include "seal/blake2b.h"
#include "seal/noise.h"

namespace zferry::seal {
namespace {

constexpr std::string_view kPrivatePrefix = "zferry-private-";
constexpr std::string_view kPublicPrefix = "zferry-public-";
constexpr std::string_view kSecretPrefix = "zferry-secret-";
constexpr std::size_t kCheckBytes = 4;
constexpr std::size_t kCodedBytes = kKeyBytes + kCheckBytes;
constexpr std::size_t kCodedChars = kCodedBytes / 3 * 4;
constexpr int kBase64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
static_assert(kCodedBytes % 3 == 0, "no spare bits in the last character");

// What travels in the text; wiped when it goes, for it may be private.
struct Coded {
  std::array<std::byte, kCodedBytes> bytes{};
  ~Coded() { sodium_memzero(bytes.data(), bytes.size()); }
  ConstBytes key() const { return ConstBytes(bytes).first(kKeyBytes); }
  std::array<std::byte, kCheckBytes> check(std::string_view prefix) const {
    std::array<std::byte, 32> digest;
    Blake2b(digest.size()).add(prefix).add(key()).finish(digest);
    std::array<std::byte, kCheckBytes> first;
    std::copy_n(digest.begin(), kCheckBytes, first.begin());
    return first;
  }
};

std::string to_text(std::string_view prefix, ConstBytes key) {
  Coded coded;
  std::ranges::copy(key, coded.bytes.begin());
  std::ranges::copy(coded.check(prefix), coded.bytes.begin() + kKeyBytes);
  std::array<char, kCodedChars + 1> text;
  sodium_bin2base64(text.data(), text.size(), as_uchar(ConstBytes(coded.bytes)), coded.bytes.size(), kBase64);
  std::string line(prefix);
  line.append(text.data(), kCodedChars);
  sodium_memzero(text.data(), text.size());
  return line;
}

Error bad_key(std::string_view prefix, const char* why) {
  std::string what = "expected a key that begins with ";
  return {Fault::kConfig, what.append(prefix) + ": " + why, {}};
}

Status from_text(std::string_view prefix, std::string_view text, Coded& coded) {
  constexpr std::string_view kSpace = " \t\r\n";
  std::size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return bad_key(prefix, "there is no text");
  text = text.substr(first, text.find_last_not_of(kSpace) - first + 1);
  if (!text.starts_with(prefix)) {
    for (std::string_view other : {kPrivatePrefix, kPublicPrefix, kSecretPrefix})
      if (text.starts_with(other)) return bad_key(prefix, "this is a key of another kind");
    return bad_key(prefix, "this is something else");
  }
  text.remove_prefix(prefix.size());
  if (text.size() != kCodedChars) return bad_key(prefix, "it is cut, or has something behind it");
  std::size_t bytes = 0;
  if (sodium_base642bin(as_uchar(Bytes(coded.bytes)), coded.bytes.size(), text.data(), text.size(), nullptr, &bytes,
                        nullptr, kBase64) != 0 ||
      bytes != kCodedBytes)
    return bad_key(prefix, "it has a character that no key has");
  auto check = coded.check(prefix);
  if (sodium_memcmp(check.data(), coded.bytes.data() + kKeyBytes, kCheckBytes) != 0)
    return bad_key(prefix, "its check does not match: it was mistyped or damaged");
  return {};
}

Result<SecretBytes> secret_from_text(std::string_view prefix, std::string_view text) {
  Coded coded;
  if (Status status = from_text(prefix, text, coded); !status) return status.take_error();
  return SecretBytes(coded.key());
}

}  // namespace

SecretBytes::SecretBytes(ConstBytes bytes) {
  ZF_ASSERT(bytes.size() == bytes_.size());
  std::ranges::copy(bytes, bytes_.begin());
}
SecretBytes::SecretBytes(SecretBytes&& other) noexcept : bytes_(other.bytes_) {
  sodium_memzero(other.bytes_.data(), other.bytes_.size());
}
SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this == &other) return *this;
  bytes_ = other.bytes_;
  sodium_memzero(other.bytes_.data(), other.bytes_.size());
  return *this;
}
SecretBytes::~SecretBytes() { sodium_memzero(bytes_.data(), bytes_.size()); }

SecretBytes SecretBytes::random(RandomSource& random) {
  SecretBytes secret;
  random.fill(secret.bytes_);
  return secret;
}

PublicKey public_key(const SecretBytes& private_key) { return x25519().public_of(private_key); }

std::string private_key_text(const SecretBytes& key) { return to_text(kPrivatePrefix, key.bytes()); }
std::string secret_text(const SecretBytes& secret) { return to_text(kSecretPrefix, secret.bytes()); }
std::string public_key_text(const PublicKey& key) { return to_text(kPublicPrefix, key); }

Result<SecretBytes> parse_private_key(const std::string& text) { return secret_from_text(kPrivatePrefix, text); }
Result<SecretBytes> parse_secret(const std::string& text) { return secret_from_text(kSecretPrefix, text); }

Result<PublicKey> parse_public_key(const std::string& text) {
  Coded coded;
  if (Status status = from_text(kPublicPrefix, text, coded); !status) return status.take_error();
  PublicKey key;
  std::ranges::copy(coded.key(), key.begin());
  // A point of low order gives every secret the same shared value; no private key has such a public half.
  SecretBytes any = SecretBytes(coded.key()), unused;
  if (!x25519().shared(any, key, unused)) return bad_key(kPublicPrefix, "no private key belongs to it");
  return key;
}

}  // namespace zferry::seal
