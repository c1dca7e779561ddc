// Leaves and their chain: the digest of a stream. A leaf is the Poly1305 tag of 1 MiB of stream at a fixed offset under
// a one-time key derived from the session's leaf key and the leaf's index; the chain is BLAKE2b over the leaves.
// docs/PROTOCOL.md, "Digest". Keyed, because tenants choose content: without the key nobody can make two leaves
// collide.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "seal/keys.h"

namespace zferry::seal {

using Leaf = std::array<std::byte, 16>;
using StreamDigest = std::array<std::byte, 32>;

// The leaf of these bytes. Thread-safe; `bytes` is a whole leaf, or the stream's last.
Leaf leaf_of(const SecretBytes& leaf_key, std::uint64_t index, ConstBytes bytes);

// What a block that is put together from what the target has must have: the tag of its bytes at this place in the
// stream, under a one-time key of its own. Thread-safe.
using Proof = std::array<std::byte, 16>;
Proof proof_of(const SecretBytes& leaf_key, std::uint64_t offset, ConstBytes block);

// Takes a stream in order, as whole leaves computed elsewhere or as bytes, and gives its digest. Both ways may be
// mixed, at leaf bounds.
class LeafChain {
 public:
  LeafChain(SecretBytes leaf_key, std::size_t leaf_bytes);
  LeafChain(LeafChain&&) noexcept;
  LeafChain& operator=(LeafChain&&) noexcept;
  ~LeafChain();
  // The next leaf, whole. REQUIRES: stream_bytes() is a multiple of the leaf's length.
  void add_leaf(const Leaf& leaf);
  // The next bytes, any number, across leaf bounds too.
  void add_bytes(ConstBytes bytes);
  std::uint64_t stream_bytes() const;
  // Digest of everything so far: covers the chain, the last unfinished leaf and the length. May be called at any time.
  StreamDigest digest() const;

  // No leaf is unfinished.
  bool at_leaf_bound() const;
  // So that another process can go on with it; a few hundred bytes, without the leaf key. REQUIRES: at_leaf_bound().
  std::vector<std::byte> save() const;
  // Errors: kStoreFailed: not what save() gave for this key and length of leaves, or of a program whose libsodium lays
  // out its state in another way. All of it is authenticated under the leaf key.
  static Result<LeafChain> restore(SecretBytes leaf_key, std::size_t leaf_bytes, ConstBytes saved);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zferry::seal
