// Derivation of keys, and the two headers.
#include "store/file_header.h"

#include <algorithm>

#include "seal/blake2b.h"

namespace zferry::store {
namespace {

constexpr std::string_view kMagic = "zfstore\n";
constexpr std::size_t kVersionAt = 8, kKindAt = 10, kCipherAt = 11, kNumberAt = 12, kSaltAt = 16, kCheckAt = 48;
constexpr std::size_t kIdAt = 16, kKeyCheckAt = 48, kSumAt = 64;  // of the format file
constexpr int kRounds = 4;
constexpr char kDigits[] = "0123456789abcdef";

seal::SecretBytes derived(const seal::SecretBytes& key, std::string_view what, const StoreId& id) {
  seal::SecretBytes result;
  seal::Blake2b(seal::kKeyBytes, key.bytes()).add(what).add(id).finish(result.writable());
  return result;
}

Check digest_of(ConstBytes key, std::string_view what, ConstBytes bytes) {
  Check check;
  seal::Blake2b(check.size(), key).add(what).add(bytes).finish(check);
  return check;
}

bool is_at(ConstBytes bytes, std::size_t at, const Check& check) {
  return std::ranges::equal(bytes.subspan(at, check.size()), check);
}

void put(Bytes bytes, std::size_t at, ConstBytes what) {
  std::ranges::copy(what, bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

// Of a format file and of any other.
Status check_start(ConstBytes bytes, std::size_t bytes_wanted, const std::string& name) {
  if (bytes.size() < bytes_wanted || as_text(bytes.first(kMagic.size())) != kMagic)
    return failed(name, "its beginning is missing or is not that of a store's file");
  if (const auto version = load<std::uint16_t>(bytes, kVersionAt); version != kVersion)
    return Error{
        Fault::kStoreFailed,
        name + ": version " + std::to_string(version) + ", and this program knows version " + std::to_string(kVersion),
        "use the zferry that made this store, or give it another folder for its store"};
  return {};
}

}  // namespace

Error failed(const std::string& name, const std::string& what) { return {Fault::kStoreFailed, name + ": " + what, {}}; }

StoreKeys::StoreKeys(const seal::SecretBytes& key, const StoreId& id)
    : key_(derived(key, "zferry store", id)), name_key_(derived(key, "zferry store names", id)) {}

seal::SecretBytes StoreKeys::file_key(ConstBytes header_start, const SessionId& session) const {
  seal::SecretBytes result;
  seal::Blake2b(seal::kKeyBytes, key_.bytes())
      .add("zferry store file")
      .add(header_start)
      .add(session)
      .finish(result.writable());
  return result;
}

seal::SecretBytes StoreKeys::chunk_key(const Scope& scope) const {
  seal::SecretBytes result;
  seal::Blake2b(seal::kKeyBytes, key_.bytes()).add("zferry chunks").add(scope).finish(result.writable());
  return result;
}

Check StoreKeys::check() const { return digest_of(key_.bytes(), "zferry store check", {}); }

// A Feistel network of four rounds: a permutation whatever the round function is, and one that looks random under a
// keyed hash.
SessionId StoreKeys::permuted(const SessionId& from, bool forth) const {
  constexpr std::size_t kHalf = 16;
  std::array<std::array<std::byte, kHalf>, 2> half;
  std::copy_n(from.begin(), kHalf, half[0].begin());
  std::copy_n(from.begin() + kHalf, kHalf, half[1].begin());
  for (int i = 0; i < kRounds; ++i) {
    const int round = forth ? i : kRounds - 1 - i;
    auto& changed = half[static_cast<std::size_t>(round % 2)];
    const auto& other = half[static_cast<std::size_t>(1 - round % 2)];
    std::array<std::byte, kHalf> mask;
    seal::Blake2b(kHalf, name_key_.bytes()).add_u64(static_cast<std::uint64_t>(round)).add(other).finish(mask);
    std::ranges::transform(changed, mask, changed.begin(), std::bit_xor<>());
  }
  SessionId to;
  std::ranges::copy(half[0], to.begin());
  std::ranges::copy(half[1], to.begin() + kHalf);
  return to;
}

std::string StoreKeys::name_of(const SessionId& session) const { return to_hex(permuted(session, true)); }

std::optional<SessionId> StoreKeys::session_of(std::string_view name) const {
  SessionId id;
  if (name.size() != 2 * id.size()) return {};
  for (std::size_t i = 0; i < id.size(); ++i) {
    const auto high = std::string_view(kDigits).find(name[2 * i]),
               low = std::string_view(kDigits).find(name[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return {};
    id[i] = static_cast<std::byte>(high << 4 | low);
  }
  return permuted(id, false);
}

std::array<std::byte, kFormatBytes> encode_format(const seal::SecretBytes& key, const StoreId& id) {
  std::array<std::byte, kFormatBytes> bytes{};
  put(bytes, 0, as_bytes(kMagic));
  store_at(Bytes(bytes), kVersionAt, kVersion);
  put(bytes, kIdAt, id);
  put(bytes, kKeyCheckAt, StoreKeys(key, id).check());
  put(bytes, kSumAt, digest_of({}, {}, ConstBytes(bytes).first(kSumAt)));
  return bytes;
}

Result<StoreId> decode_format(ConstBytes bytes, const seal::SecretBytes& key) {
  const std::string name = "format";
  if (Status status = check_start(bytes, kFormatBytes, name); !status) return status.take_error();
  if (bytes.size() != kFormatBytes || !is_at(bytes, kSumAt, digest_of({}, {}, bytes.first(kSumAt))))
    return failed(name, "damaged");
  StoreId id;
  std::ranges::copy(bytes.subspan(kIdAt, id.size()), id.begin());
  if (!is_at(bytes, kKeyCheckAt, StoreKeys(key, id).check())) {
    Error error = failed(name, "this store was made with another key");
    error.next = "give the state folder that it was made with (--state FOLDER), or another folder for the store";
    return error;
  }
  return id;
}

NewHeader make_header(const StoreKeys& keys, FileKind kind, std::uint32_t number, const SessionId& session,
                      seal::Cipher cipher, RandomSource& random) {
  std::array<std::byte, kHeaderBytes> bytes{};
  put(bytes, 0, as_bytes(kMagic));
  store_at(Bytes(bytes), kVersionAt, kVersion);
  bytes[kKindAt] = static_cast<std::byte>(kind);
  bytes[kCipherAt] = static_cast<std::byte>(cipher);
  store_at(Bytes(bytes), kNumberAt, number);
  random.fill(Bytes(bytes).subspan(kSaltAt, kCheckAt - kSaltAt));
  const ConstBytes start = ConstBytes(bytes).first(kCheckAt);
  seal::SecretBytes key = keys.file_key(start, session);
  const Check check = digest_of(key.bytes(), "zferry store header", start);
  put(bytes, kCheckAt, check);
  return {bytes, {cipher, std::move(key), check}};
}

Result<FileKey> open_header(const StoreKeys& keys, ConstBytes bytes, FileKind kind, std::uint32_t number,
                            const SessionId& session, const std::string& name) {
  if (Status status = check_start(bytes, kHeaderBytes, name); !status) return status.take_error();
  const ConstBytes start = bytes.first(kCheckAt);
  seal::SecretBytes key = keys.file_key(start, session);
  const Check check = digest_of(key.bytes(), "zferry store header", start);
  const auto cipher = static_cast<seal::Cipher>(bytes[kCipherAt]);
  if (!is_at(bytes, kCheckAt, check) || static_cast<FileKind>(bytes[kKindAt]) != kind ||
      load<std::uint32_t>(bytes, kNumberAt) != number)
    return failed(name, "its header is damaged, or of another file or store");
  if (!seal::has_rest_cipher(cipher))
    return failed(name, "sealed with " + std::string(seal::cipher_name(cipher)) + ", which this machine has not");
  return FileKey{cipher, std::move(key), check};
}

}  // namespace zferry::store
