#include "zstream/identity.h"

#include <algorithm>

#include "base/limits.h"

namespace zferry::zstream {

IdentityHash::IdentityHash() {
  ZF_ASSERT(sodium_init() >= 0);
  crypto_generichash_init(&state_, nullptr, 0, 32);
}

void IdentityHash::header(ConstBytes bytes) {
  ZF_ASSERT(!value_);
  crypto_generichash_update(&state_, as_uchar(bytes), bytes.size());
}

void IdentityHash::payload(ConstBytes bytes) {
  ZF_ASSERT(!value_);
  bytes = bytes.first(std::min(bytes.size(), limits::kOuterListBytesMax - payload_bytes_));
  payload_bytes_ += bytes.size();
  crypto_generichash_update(&state_, as_uchar(bytes), bytes.size());
}

void IdentityHash::restore(const std::array<std::byte, 32>& value) {
  ZF_ASSERT(!value_);
  value_ = value;
}

void IdentityHash::finish() {
  ZF_ASSERT(!value_);
  value_.emplace();
  crypto_generichash_final(&state_, as_uchar(Bytes(*value_)), value_->size());
}

}  // namespace zferry::zstream
