// The completion record: what the target writes down, durably, before it says that a stream is complete; and the
// record's bytes, reader beside writer. It answers a source that never got its FINAL-ACK, or was killed before it
// could tell anybody.
// docs/PROTOCOL.md, "Endings".
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "seal/keys.h"
#include "seal/leaf.h"
#include "wire/messages.h"

namespace zferry::pipeline {

struct CompletionRecord {
  wire::Id principal{};
  wire::Id identity{};
  wire::Id leaf_key{};  // of the session: the digest can be computed again by whoever has the stream
  wire::Id digest{};
  std::uint64_t stream_bytes = 0;
  std::uint64_t toguid = 0;  // of a ZFS stream
  wire::Completion completion = wire::Completion::kDelivered;
};

std::vector<std::byte> encode(const CompletionRecord& record);
// Errors: kStateFailed (damaged, or of a version that is not known).
Result<CompletionRecord> decode_completion_record(ConstBytes bytes);

}  // namespace zferry::pipeline
