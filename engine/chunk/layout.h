// Layout: what a block is made of. Payloads of WRITE records, or what Gear cuts, are chunks; all the rest is the
// block's skeleton. docs/PROTOCOL.md, "Chunks". Offsets are in the block.
#pragma once

#include <cstdint>
#include <vector>

namespace zferry::chunk {

inline constexpr std::uint32_t kKeyOffset = 56;  // in a WRITE header
inline constexpr std::uint32_t kKeyBytes = 32;
inline constexpr std::uint32_t kRawKeyBytes = 88;  // to the end of the MAC

struct Layout {
  struct Piece {
    std::uint32_t offset;
    std::uint32_t bytes;
    bool operator==(const Piece&) const = default;
  };
  // What is sent or found as one: pieces, one behind the other.
  struct Unit {
    std::uint32_t first_piece;
    std::uint32_t pieces;
    std::uint32_t bytes;
    bool operator==(const Unit&) const = default;
  };
  struct Chunk {
    std::uint32_t first_unit;
    std::uint32_t units;  // more than one: each has one piece, but for keys
    std::uint32_t bytes;
    bool operator==(const Chunk&) const = default;
  };
  std::vector<Piece> pieces;  // of payload ascending, none touches into another; then, where has_keys, those of keys
  std::vector<Unit> units;    // of all pieces, in their order; and so are
  std::vector<Chunk> chunks;  // of all units
  std::vector<std::uint32_t> headers;  // where whole record headers begin, ascending; never in a piece of payload
  // A WRITE header's key: the checksum of its block on the sender's disks; in a raw stream salt, IV and MAC as well.
  // Nothing tells what it is, and no two are alike: the keys of a block's records are its last chunk, with a unit for
  // the records of each other one.
  bool has_keys = false;
  std::size_t payload_pieces() const { return has_keys ? pieces.size() / 2 : pieces.size(); }
  bool swapped = false;  // the stream's byte order is not ours
  bool starts_in_header = false;

  std::uint64_t payload_bytes() const {
    std::uint64_t sum = 0;
    for (const Chunk& chunk : chunks) sum += chunk.bytes;
    return sum;
  }
  bool operator==(const Layout&) const = default;
};

}  // namespace zferry::chunk
