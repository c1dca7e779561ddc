// StreamState: all that the target knows of a stream at a place in it, however it got there: from the first byte, or
// from a checkpoint in the store. docs/STORE.md, "Checkpoints". Threading: the loop's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/result.h"
#include "seal/chain_marks.h"
#include "seal/leaf.h"
#include "zstream/stream_context.h"
#include "zstream/walker.h"

namespace zferry::pipeline {

// A StreamState as bytes, at the bound before block `number`.
struct Checkpoint {
  std::uint64_t number = 0;
  std::vector<std::byte> state;
};

struct StreamState {
  std::uint64_t number = 0;  // of the next block
  seal::LeafChain chain;
  seal::ChainMarks marks;
  zstream::RecordWalker walker;
  zstream::StreamContext context;  // follows only where `follows`
  bool follows = false;

  static StreamState begin(seal::SecretBytes leaf_key, std::size_t block_bytes);
  // Errors: kStoreFailed: not what checkpoint() gave.
  static Result<StreamState> restore(const Checkpoint& from, seal::SecretBytes leaf_key, std::size_t block_bytes);
  // Nothing where the place does not lend itself to it: in mid-leaf, or before it is known what the stream is.
  std::optional<Checkpoint> checkpoint() const;
};

// Checkpoints of places that the stream has passed and ZFS perhaps not yet: few, and none far from the next.
class Candidates {
 public:
  explicit Candidates(std::size_t block_bytes) : spacing_bytes_(kSpacingLeaves * block_bytes) {}
  void note(const StreamState& state);
  // The last of them that ZFS is beyond by this token, and that stands at most before block `durable`; it and those
  // before it are forgotten.
  std::optional<Checkpoint> applied(const zstream::ResumeToken& token, std::uint64_t durable);

 private:
  static constexpr std::size_t kCandidatesMax = 32;
  static constexpr std::size_t kSpacingLeaves = 8;
  struct Candidate {
    Checkpoint checkpoint;
    zstream::StreamContext context;
  };
  std::uint64_t spacing_bytes_;
  std::uint64_t last_bytes_ = 0;
  std::deque<Candidate> places_;
};

}  // namespace zferry::pipeline
