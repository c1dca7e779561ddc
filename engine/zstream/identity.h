// IdentityHash: BLAKE2b-256 of the whole first BEGIN with its payload, of which at most kOuterListBytesMax are hashed.
// It names a stream before the stream has been read. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <sodium.h>

#include "base/bytes.h"
#include "base/limits.h"

namespace zferry::zstream {

class IdentityHash {
 public:
  IdentityHash();
  // REQUIRES: not finished.
  void header(ConstBytes bytes);
  void payload(ConstBytes bytes);
  void finish();
  // As if finished with this. REQUIRES: not finished.
  void restore(const std::array<std::byte, 32>& value);
  // What a longer payload adds changes nothing any more.
  bool full() const { return payload_bytes_ == limits::kOuterListBytesMax; }
  // Nothing until finish().
  const std::optional<std::array<std::byte, 32>>& value() const { return value_; }

 private:
  crypto_generichash_state state_;
  std::size_t payload_bytes_ = 0;
  std::optional<std::array<std::byte, 32>> value_;
};

}  // namespace zferry::zstream
