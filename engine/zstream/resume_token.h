// The resume token that `zfs receive -s` leaves as the property receive_resume_token: where in which snapshot it
// stopped. "1-<fletcher-4 word, hex>-<packed length, hex>-<hex of zlib of a packed nvlist>". Thread-safe. Source:
// OpenZFS, lib/libzfs/libzfs_sendrecv.c and module/zfs/dsl_dataset.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace zferry::zstream {

struct ResumeToken {
  std::uint64_t object = 0;  // what comes next: this place, or one behind it
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  // drifts after a second resume: for people only
  std::uint64_t toguid = 0;
  std::uint64_t fromguid = 0;  // 0: a full stream
  std::string toname;          // of the sender, as it came: escape before it is shown
  bool large_blocks = false;
  bool embedded = false;
  bool compressed = false;
  bool raw = false;
};

// Errors: kStreamDamaged, with what is wrong in it (no token, a version that is not known, checksum, length, content).
// `text` may end in a newline. Never longer work than a bounded inflate of 64 KiB.
Result<ResumeToken> decode_resume_token(std::string_view text);

}  // namespace zferry::zstream
