// Skeleton: a block without its chunks, as few bytes: where they go, and all the rest, record headers column by column,
// each as its difference from the one before; checksums that are what they must be are left out and made again. What
// encode() gives is worth packing. docs/PROTOCOL.md, "Chunks". Mirror of its kind: encode() and decode(). Thread-safe.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "chunk/layout.h"
#include "zstream/fletcher4.h"

namespace zferry::chunk {

// `running` is the fletcher-4 of the stream before this block, where every checksum in the block has been verified;
// else nothing is left out. `offset` is the block's in the stream.
std::vector<std::byte> encode_skeleton(const Layout& layout, ConstBytes block, std::uint64_t offset,
                                       const std::optional<zstream::Fletcher4>& running);

class Skeleton {
 public:
  // For a block of so many bytes. Errors: kProtocol: not what encode_skeleton() gives for any block of that length.
  static Result<Skeleton> decode(ConstBytes encoded, std::size_t block_bytes);
  // Payload, then keys.
  const std::vector<Layout::Piece>& pieces() const { return pieces_; }
  std::uint64_t payload_bytes() const { return payload_bytes_; }
  // All but the pieces. REQUIRES: block.size() == block_bytes.
  void put(Bytes block) const;
  // Once the pieces are there as well: the checksums that were left out. Errors: kProtocol.
  Status put_checksums(Bytes block) const;

 private:
  std::size_t block_bytes_ = 0;
  std::vector<Layout::Piece> pieces_;
  std::size_t payload_pieces_ = 0;
  std::uint64_t payload_bytes_ = 0;  // keys too
  std::vector<std::uint32_t> headers_;
  std::vector<bool> left_out_;  // of each header its checksum
  bool swapped_ = false;
  std::optional<zstream::Fletcher4> running_;
  std::vector<std::byte> other_;    // neither headers nor pieces
  std::vector<std::byte> columns_;  // of the headers
};

}  // namespace zferry::chunk
