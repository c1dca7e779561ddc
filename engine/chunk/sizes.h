// How long chunks are, by how long blocks may be: tests and the simulator have short ones.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/limits.h"

namespace zferry::chunk {

struct Sizes {
  std::size_t block_bytes;      // no chunk is longer
  std::size_t extent_bytes;     // of an object: records within one such extent join to a chunk
  std::size_t unit_bytes_min;   // of a record, to be found by itself where its extent is not
  std::size_t chunk_bytes_min;  // what is shorter is not looked for
  // Of what is no ZFS stream: a chunk has gear_min, and on average gear_step more; a power of 2.
  std::size_t gear_min, gear_step, gear_max;

  // Of blocks of 1 MiB: 128, 4 and 1 KiB; 16, 32 and 256 KiB.
  static Sizes of(std::size_t block_bytes) {
    auto part = [&](std::size_t of) { return std::max<std::size_t>(1, block_bytes / of); };
    std::size_t step = 1;
    while (step * 64 <= block_bytes) step *= 2;
    return {block_bytes,
            part(8),
            part(256),
            part(1024),
            std::max<std::size_t>(1, step / 2),
            step,
            std::min(step * 8, block_bytes)};
  }
};

// What a block may be made of, so that a message about it stays within a control frame.
inline constexpr std::size_t kUnitsOfChunkMax = 256;
inline constexpr std::size_t kKeyedRecordsMin = 4;
inline constexpr std::size_t kMessageBytesMax = limits::kControlBytesMax - 128;
// What a chunk of so many units takes in it at most.
constexpr std::size_t message_bytes(std::size_t units) { return 33 + (units > 1 ? units * 10 : 0); }

}  // namespace zferry::chunk
