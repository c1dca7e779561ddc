// Ids of chunks: XXH3-128 under a secret of each dedup scope. They find; they never decide: a block that is put
// together from what they found is compared by its proof (pipeline/recipe.h). docs/PROTOCOL.md, "Chunks". Thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "base/bytes.h"

namespace zferry::chunk {

using Id = std::array<std::byte, 16>;
// Of a piece of a chunk: the first bytes of the piece's own id.
using SubId = std::array<std::byte, 6>;

inline SubId sub_id(const Id& id) {
  SubId sub;
  std::copy_n(id.begin(), sub.size(), sub.begin());
  return sub;
}

// What ids are made with: from 32 random bytes that the target gives to an authenticated source.
class IdKey {
 public:
  // `bits` of an id count: fewer than all of them for tests, that want collisions.
  explicit IdKey(const std::array<std::byte, 32>& seed, unsigned bits = 128);
  // Of the bytes of `pieces`, one behind the other.
  Id id_of(std::span<const ConstBytes> pieces) const;
  Id id_of(ConstBytes bytes) const { return id_of(std::span(&bytes, 1)); }

 private:
  std::array<std::byte, 192> secret_;
  unsigned bits_;
};

}  // namespace zferry::chunk
