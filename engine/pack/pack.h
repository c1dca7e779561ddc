// Packing a block (zstd, one frame a block, or as it is) and its inverse. docs/PROTOCOL.md, "Packing".
// Plain functions over bytes; contexts live per thread inside. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry::pack {

inline constexpr int kLevelMax = 12;  // zstd 1.5.4 has a corruption bug above
inline constexpr int kLevelAuto = 3;

// What is known of a block's bytes before looking at them.
enum class Hint : std::uint8_t { kUnknown, kIncompressible };  // raw (encrypted) and compressed streams

enum class Mode : std::uint8_t { kOff, kProbe, kAlways };
struct PackSettings {
  Mode mode = Mode::kProbe;  // kProbe: a sampled trial first; kAlways: an explicit level
  int level = kLevelAuto;
};

// Packs `raw` into `out` and gives the packed length, or 0: not worth it, carry it as it is (kOff, a probe that says
// so, or no smaller by at least 1/64). `out` must have room for raw.size() bytes.
std::size_t pack(const PackSettings& settings, Hint hint, ConstBytes raw, Bytes out);

// Unpacks one zstd frame that must declare and give exactly raw.size() bytes. Errors: kProtocol.
Status unpack(ConstBytes packed, Bytes raw);

}  // namespace zferry::pack
