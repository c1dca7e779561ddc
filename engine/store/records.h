// The records of a journal and the pages that hold them, as bytes before they are sealed. docs/STORE.md, "Journal". The
// encoder and its mirror, which applies a page to a session's content. Threading: one thread at a time each.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "store/content.h"

namespace zferry::store {

inline constexpr std::size_t kPageBytesMax = 128 * limits::KiB;
inline constexpr std::size_t kPieceBytesMax =
    60 * limits::KiB;  // of a checkpoint's state in one record: two fit a page
inline constexpr std::size_t kBlockRecordBytes = 34;
inline constexpr std::size_t kSegmentRecordBytes = 21;
inline constexpr std::size_t kCheckpointRecordBytes = 13;
inline constexpr std::size_t kPinRecordBytes = 61;

// Records in pages: none is split over two.
class Pages {
 public:
  void begin(std::int64_t unix_s, std::string_view label);
  void note(Note note, ConstBytes value);
  void segment(std::uint32_t number, const Check& check);
  void block(const BlockFacts& block, const Place& place);
  void truncate(std::uint64_t number);
  // Of a checkpoint's state, in their order; REQUIRES: 1..kPieceBytesMax. The checkpoint makes them count.
  void piece(ConstBytes bytes);
  void checkpoint(std::uint64_t number, std::size_t state_bytes);
  void pin(const PinnedSegment& segment, const Check& check, std::uint64_t number);
  // The records since the last one count. Ends the page.
  void commit();

  bool empty() const { return pages_.empty(); }
  std::size_t count() const { return pages_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  std::vector<std::vector<std::byte>> take();

 private:
  std::vector<std::byte>& page_for(std::size_t record_bytes);

  std::vector<std::vector<std::byte>> pages_;
  std::uint64_t bytes_ = 0;
  bool ended_ = true;
};

// Applies pages in their order.
class Replay {
 public:
  explicit Replay(SessionContent& content) : content_(content) {}
  // Errors: kStoreFailed: a record that is none, or breaks the rules. Nothing of the content counts then.
  Status apply(ConstBytes page);
  // The last page applied ended a commit.
  bool at_commit() const { return at_commit_; }

 private:
  class Cursor;
  bool apply_record(std::uint8_t type, Cursor& from);
  bool apply_begin(Cursor& from);
  bool apply_note(Cursor& from);
  bool apply_segment(Cursor& from);
  bool apply_block(Cursor& from);
  bool apply_piece(Cursor& from);
  bool apply_pin(Cursor& from);
  bool apply_checkpoint(Cursor& from);

  SessionContent& content_;
  std::vector<std::byte> pieces_;
  bool begun_ = false;
  bool at_commit_ = false;
};

}  // namespace zferry::store
