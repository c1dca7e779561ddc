// The keys of a store, and what stands at the beginning of each of its files. docs/STORE.md, "Keys" and "Files".
// Every file is written in one go under a key of its own: derived from the store's key, the session, and 32 random
// bytes in the file's header. Threading: any.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "seal/keys.h"
#include "seal/rest_cipher.h"
#include "store/store.h"

namespace zferry::store {

inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kFormatBytes = 80;
inline constexpr std::size_t kHeaderBytes = 64;

using StoreId = std::array<std::byte, 32>;
using Check = std::array<std::byte, 16>;

enum class FileKind : std::uint8_t { kFormat = 0, kJournal = 1, kSegment = 2, kChunks = 3, kWindow = 4 };

// What follows from the operator's key and the store's id.
class StoreKeys {
 public:
  StoreKeys(const seal::SecretBytes& key, const StoreId& id);
  // Keyed over `parts`, so that whoever has not the key can neither make nor read it.
  seal::SecretBytes file_key(ConstBytes header_start, const SessionId& session) const;
  // What the ids of a scope's chunks are made with.
  seal::SecretBytes chunk_key(const Scope& scope) const;
  // Tells this key from another.
  Check check() const;
  // A session as the names of its files give it, and back: a permutation, so that the folder tells nobody its id.
  std::string name_of(const SessionId& session) const;
  std::optional<SessionId> session_of(std::string_view name) const;

 private:
  SessionId permuted(const SessionId& from, bool forth) const;

  seal::SecretBytes key_;
  seal::SecretBytes name_key_;
};

// The "format" file.
std::array<std::byte, kFormatBytes> encode_format(const seal::SecretBytes& key, const StoreId& id);
// Errors: kStoreFailed: damage, another version, another key.
Result<StoreId> decode_format(ConstBytes bytes, const seal::SecretBytes& key);

// What seals or opens one file.
struct FileKey {
  seal::Cipher cipher;
  seal::SecretBytes key;
  Check check;  // ends the header; who names it names this very file
};
struct NewHeader {
  std::array<std::byte, kHeaderBytes> bytes;
  FileKey key;
};
NewHeader make_header(const StoreKeys& keys, FileKind kind, std::uint32_t number, const SessionId& session,
                      seal::Cipher cipher, RandomSource& random);
// `name` for errors. Errors: kStoreFailed: damage, another version, another file than `kind`, `number` and `session`
// say, a cipher that this machine has not.
Result<FileKey> open_header(const StoreKeys& keys, ConstBytes bytes, FileKind kind, std::uint32_t number,
                            const SessionId& session, const std::string& name);

// kStoreFailed.
Error failed(const std::string& name, const std::string& what);

}  // namespace zferry::store
