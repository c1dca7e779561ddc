// BLAKE2b as seal/ uses it: incremental, keyed or not, with a digest of up to 64 bytes. Thin over libsodium. It can be
// saved and gone on with, by programs whose libsodium lays its state out in the same way.
// Threading: one thread at a time each.
#pragma once

#include <array>

#include <sodium.h>

#include "base/bytes.h"

namespace zferry::seal {

class Blake2b {
 public:
  using Saved = std::array<std::byte, sizeof(crypto_generichash_state)>;

  // REQUIRES: digest_bytes in 16..64, key empty or of 16..64 bytes.
  explicit Blake2b(std::size_t digest_bytes, ConstBytes key = {}) : digest_bytes_(digest_bytes) {
    static const bool ready = sodium_init() >= 0;  // picks the vector implementation; once a process
    ZF_ASSERT(ready);
    ZF_ASSERT(crypto_generichash_init(&state_, key.empty() ? nullptr : as_uchar(key), key.size(), digest_bytes) == 0);
  }
  Blake2b(const Blake2b&) = default;
  Blake2b& operator=(const Blake2b&) = default;
  ~Blake2b() { sodium_memzero(&state_, sizeof state_); }

  Blake2b& add(ConstBytes bytes) {
    ZF_ASSERT(crypto_generichash_update(&state_, as_uchar(bytes), bytes.size()) == 0);
    return *this;
  }
  Blake2b& add(std::string_view text) { return add(as_bytes(text)); }
  Blake2b& add_u64(std::uint64_t value) { return add(std::as_bytes(std::span(&value, 1))); }
  // Once. REQUIRES: out.size() == digest_bytes.
  void finish(Bytes out) {
    ZF_ASSERT(out.size() == digest_bytes_);
    ZF_ASSERT(crypto_generichash_final(&state_, as_uchar(out), out.size()) == 0);
  }

  // The library's own bytes. As secret as the key, where there is one.
  Saved save() const {
    Saved saved;
    std::memcpy(saved.data(), &state_, saved.size());
    return saved;
  }
  // REQUIRES: of save(), by a library of the same layout(), of an object with this `digest_bytes`. The library believes
  // every length in there, so that bytes which may be damaged must be authenticated before they come here.
  static Blake2b restored(std::size_t digest_bytes, const Saved& saved) {
    Blake2b restored(digest_bytes);
    std::memcpy(&restored.state_, saved.data(), saved.size());
    return restored;
  }
  // How the library lays out its state: the state in the middle of a fixed input, with blocks taken in and some
  // waiting.
  static Saved layout() {
    std::array<std::byte, 333> input;
    input.fill(std::byte{0x5a});
    return Blake2b(32).add(input).save();
  }

 private:
  crypto_generichash_state state_{};  // all of it: save() gives its padding too
  std::size_t digest_bytes_;
};

}  // namespace zferry::seal
