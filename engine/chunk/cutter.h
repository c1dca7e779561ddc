// Cutter: follows a stream and says where blocks may end so that no chunk is split, and what each block is made of.
// docs/PROTOCOL.md, "Chunks". Mirror: skeleton.h. The records are judged by zstream's walker; what is none ends the ZFS
// part here, and is cut by Gear from there on. One thread; holds no payload, and bounds for no more than is scanned and
// not cut.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/bytes.h"
#include "chunk/gear.h"
#include "chunk/layout.h"
#include "chunk/sizes.h"
#include "zstream/format.h"

namespace zferry::chunk {

class Cutter {
 public:
  explicit Cutter(const Sizes& sizes) : sizes_(sizes), gear_(sizes) {}
  // The next bytes of the stream.
  void scan(ConstBytes bytes);
  // It is records, as far as is known, that chunks are cut by.
  bool follows_records() const { return mode_ != Mode::kOpaque; }
  // Scanned, and in no block yet.
  std::size_t waiting() const { return static_cast<std::size_t>(scanned_ - cut_); }
  // How long the longest block is, of at most `most` bytes, that splits no chunk; 0: none yet.
  std::size_t whole(std::size_t most) const;
  // The shortest one that is longer than `least`; 0: none yet.
  std::size_t next_whole(std::size_t least) const;
  // The next block: so many bytes, also where that splits a chunk. REQUIRES: 1..waiting().
  Layout cut(std::size_t bytes);

 private:
  enum class Mode { kHeader, kPayload, kOpaque };
  // A header, or a piece of a chunk: its first, or one more.
  enum class What { kHeader, kStart, kMore };
  struct Item {
    std::uint64_t at;
    std::uint32_t bytes;
    What what;
  };
  // A place between chunks, and what a message about all before it would take.
  struct Bound {
    std::uint64_t at;
    std::uint64_t message_bytes;
  };
  // Records that join.
  struct Extent {
    std::uint64_t object = 0;
    std::uint64_t number = 0;  // of the aligned extent in the object
    std::uint64_t next = 0;    // where the next record must begin
    std::size_t pieces = 0;
  };

  std::size_t take_header(ConstBytes bytes);
  std::size_t take_payload(ConstBytes bytes);
  std::size_t take_opaque(ConstBytes bytes);
  void on_header(ConstBytes header);
  void on_write(const zstream::RecordHeader& record);
  void end_record();
  void become_opaque(std::uint64_t from);
  void add_piece(std::uint64_t at, std::uint64_t bytes);
  void end_chunk();
  void bound(std::uint64_t at);
  bool split(std::uint64_t end);
  Layout layout_of(std::uint64_t end);
  void add_chunk(Layout& layout, const std::vector<Layout::Piece>& pieces) const;
  void add_keys(Layout& layout) const;

  const Sizes sizes_;
  Gear gear_;
  Mode mode_ = Mode::kHeader;
  bool begun_ = false;  // a BEGIN was seen
  bool swapped_ = false;
  bool raw_ = false;
  std::array<std::byte, zstream::kRecordBytes> held_;  // a header that came in pieces
  std::size_t held_bytes_ = 0;
  std::uint64_t payload_left_ = 0;
  bool payload_is_chunk_ = false;
  std::optional<Extent> extent_;  // further records may join
  std::uint64_t extent_end_ = 0;  // where that ends at the latest
  std::size_t chunk_pieces_ = 0;  // of the chunk in hand
  std::size_t long_left_ = 0;     // of a long payload's chunk,
  std::size_t long_step_ = 0;     // and how long the next ones are

  std::uint64_t cut_ = 0;
  bool in_header_ = false;  // the next block begins in one
  std::uint64_t scanned_ = 0;
  std::uint64_t message_bytes_ = 0;  // of all chunks that ended
  std::uint64_t cut_message_bytes_ = 0;
  std::deque<Item> items_;    // behind cut_
  std::deque<Bound> bounds_;  // the same
};

}  // namespace zferry::chunk
