// How long chunks are, by how long blocks may be: tests and the simulator have short ones.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/limits.h"

namespace zferry::chunk {

struct Sizes {
  std::size_t block_bytes;                    // no chunk is longer
  std::size_t extent_bytes;                   // of an object: records within one such extent join to a chunk
  std::size_t unit_bytes_min;                 // of a record, to be found by itself where its extent is not
  std::size_t chunk_bytes_min;                // what is shorter is not looked for
  std::size_t gear_min, gear_mean, gear_max;  // of bytes that are no ZFS stream; the middle one is a power of 2

  // 1 MiB: 128 KiB, 4 KiB, 1 KiB; 16, 64 and 256 KiB.
  static Sizes of(std::size_t block_bytes) {
    auto part = [&](std::size_t of) { return std::max<std::size_t>(1, block_bytes / of); };
    std::size_t mean = 1;
    while (mean * 32 <= block_bytes) mean *= 2;
    return {block_bytes,
            part(8),
            part(256),
            part(1024),
            std::max<std::size_t>(1, mean / 4),
            mean,
            std::min(mean * 4, block_bytes)};
  }
};

// What a block may be made of, so that a message about it stays within a control frame.
inline constexpr std::size_t kUnitsOfChunkMax = 256;
inline constexpr std::size_t kKeyedRecordsMin = 4;
inline constexpr std::size_t kMessageBytesMax = limits::kControlBytesMax - 128;
// What a chunk of so many units takes in it at most.
constexpr std::size_t message_bytes(std::size_t units) { return 33 + (units > 1 ? units * 10 : 0); }

}  // namespace zferry::chunk
