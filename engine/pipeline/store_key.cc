#include "pipeline/store_key.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace zferry::pipeline {
namespace {

constexpr char kName[] = "store-key";
// magic and version, the key, 16 bytes of BLAKE2b over all before them
constexpr std::string_view kMagic("zfskey\0\1", 8);
constexpr std::size_t kCheckBytes = 16;
constexpr std::size_t kBodyBytes = 8 + seal::kKeyBytes;
using Record = std::array<std::byte, kBodyBytes + kCheckBytes>;

std::array<std::byte, kCheckBytes> check_of(ConstBytes body) {
  std::array<std::byte, kCheckBytes> check{};
  crypto_generichash(as_uchar(Bytes(check)), check.size(), as_uchar(body), body.size(), nullptr, 0);
  return check;
}

Result<seal::SecretBytes> decode(ConstBytes record) {
  const Error damaged{
      Fault::kStateFailed, "the key of this host's stores, in the state folder, is damaged or of another version",
      std::string("put the record ") + kName + " back from a backup; without it what the stores hold cannot be read"};
  if (record.size() != sizeof(Record) || !std::equal(kMagic.begin(), kMagic.end(), as_text(record).begin()))
    return damaged;
  const auto check = check_of(record.first(kBodyBytes));
  if (!std::equal(check.begin(), check.end(), record.begin() + kBodyBytes)) return damaged;
  return seal::SecretBytes(record.subspan(kMagic.size(), seal::kKeyBytes));
}

Result<seal::SecretBytes> make(io::StateFolder& state, RandomSource& random) {
  seal::SecretBytes key = seal::SecretBytes::random(random);
  Record record;
  std::memcpy(record.data(), kMagic.data(), kMagic.size());
  std::copy(key.bytes().begin(), key.bytes().end(), record.begin() + kMagic.size());
  const auto check = check_of(ConstBytes(record).first(kBodyBytes));
  std::copy(check.begin(), check.end(), record.begin() + kBodyBytes);
  Status saved = state.save(kName, record);
  sodium_memzero(record.data(), record.size());
  if (!saved) return saved.take_error();
  return key;
}

}  // namespace

Result<std::optional<seal::SecretBytes>> kept_store_key(io::StateFolder& state) {
  auto loaded = state.load(kName);
  if (!loaded) return loaded.take_error();
  if (!*loaded) return std::optional<seal::SecretBytes>{};
  std::vector<std::byte>& record = **loaded;
  Result<seal::SecretBytes> key = decode(record);
  sodium_memzero(record.data(), record.size());
  if (!key) return key.take_error();
  return std::optional(std::move(*key));
}

Result<seal::SecretBytes> store_key(io::StateFolder& state, RandomSource& random) {
  auto kept = kept_store_key(state);
  if (!kept) return kept.take_error();
  return *kept ? Result(std::move(**kept)) : make(state, random);
}

}  // namespace zferry::pipeline
