// Whether packing a block is likely to save anything, and at what cost, from a small sample of it. Plain functions,
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace zferry::pack {

// What packing a block is like, by how its bytes look.
enum class Texture : std::uint8_t {
  kText,    // text, code, tables: it takes its time
  kSparse,  // runs of one byte, mostly: it costs next to nothing
  kDense,   // packing would save less than about 1/32
};
inline constexpr std::size_t kPackableTextures = 2;

// A microsecond or ten for a block of 1 MiB; blocks too short to sample count as text.
Texture texture_of(ConstBytes raw);
inline bool worth_packing(ConstBytes raw) { return texture_of(raw) != Texture::kDense; }

}  // namespace zferry::pack
