// Decoding records: every length, number and order is checked before it counts.
#include <algorithm>

#include "store/record_types.h"
#include "store/records.h"

namespace zferry::store {

// Takes fields from a page; after the first that does not fit all are zero and ok() is false.
class Replay::Cursor {
 public:
  explicit Cursor(ConstBytes bytes) : rest_(bytes) {}
  template <class T>
  T integer() {
    T value{};
    const ConstBytes from = bytes(sizeof value);
    if (!from.empty()) std::memcpy(&value, from.data(), sizeof value);
    return value;
  }
  ConstBytes bytes(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const ConstBytes taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  ConstBytes rest_;
  bool ok_ = true;
};

Status Replay::apply(ConstBytes page) {
  Cursor from(page);
  at_commit_ = false;
  while (!from.empty()) {
    const auto type = from.integer<std::uint8_t>();
    const bool first = !begun_;
    if (at_commit_ || first != (type == static_cast<std::uint8_t>(RecordType::kBegin)) || !apply_record(type, from) ||
        !from.ok())
      return Error{Fault::kStoreFailed, "breaks its rules at a record of type " + std::to_string(type), {}};
  }
  return {};
}

bool Replay::apply_record(std::uint8_t type, Cursor& from) {
  switch (static_cast<RecordType>(type)) {
    case RecordType::kBegin: return apply_begin(from);
    case RecordType::kNote: return apply_note(from);
    case RecordType::kSegment: return apply_segment(from);
    case RecordType::kBlock: return apply_block(from);
    case RecordType::kTruncate:
      if (const auto number = from.integer<std::uint64_t>(); from.ok()) content_.truncate(number);
      return true;
    case RecordType::kPiece: return apply_piece(from);
    case RecordType::kCheckpoint: return apply_checkpoint(from);
    case RecordType::kPin: return apply_pin(from);
    case RecordType::kCommit: at_commit_ = true; return pieces_.empty();
  }
  return false;
}

bool Replay::apply_begin(Cursor& from) {
  begun_ = true;
  content_.begun_unix_s = from.integer<std::int64_t>();
  const auto bytes = from.integer<std::uint16_t>();
  if (bytes > kLabelBytesMax) return false;
  content_.label = std::string(as_text(from.bytes(bytes)));
  return true;
}

bool Replay::apply_note(Cursor& from) {
  const auto note = from.integer<std::uint8_t>();
  const auto bytes = from.integer<std::uint32_t>();
  if (note < static_cast<std::uint8_t>(Note::kSession) || note > static_cast<std::uint8_t>(Note::kFinal)) return false;
  if (bytes > kNoteBytesMax) return false;
  const ConstBytes value = from.bytes(bytes);
  content_.notes[static_cast<Note>(note)].assign(value.begin(), value.end());
  return true;
}

bool Replay::apply_segment(Cursor& from) {
  const auto number = from.integer<std::uint32_t>();
  const ConstBytes check = from.bytes(Check{}.size());
  if (!from.ok() || number == 0) return false;
  const auto [segment, is_new] = content_.segments().try_emplace(number);
  std::ranges::copy(check, segment->second.check.begin());
  return is_new;
}

bool Replay::apply_block(Cursor& from) {
  BlockFacts block;
  block.number = from.integer<std::uint64_t>();
  block.offset = from.integer<std::uint64_t>();
  block.raw_bytes = from.integer<std::uint32_t>();
  block.packed_bytes = from.integer<std::uint32_t>();
  block.encoding = from.integer<std::uint8_t>();
  Place place;
  place.segment = from.integer<std::uint32_t>();
  place.at = from.integer<std::uint32_t>();
  const std::uint64_t end = std::uint64_t{place.at} + block.packed_bytes + seal::kTagBytes;
  if (!from.ok() || block.packed_bytes == 0 || block.packed_bytes > limits::kBlockBytesMax || place.at < kHeaderBytes ||
      end > kSegmentFileBytesMax || block.number >= limits::kBlocksMax || content_.has(block.number) ||
      !content_.segments().contains(place.segment))
    return false;
  content_.add(block, place);
  return true;
}

bool Replay::apply_piece(Cursor& from) {
  const auto bytes = from.integer<std::uint32_t>();
  if (bytes == 0 || bytes > kPieceBytesMax || bytes > kCheckpointBytesMax - pieces_.size()) return false;
  const ConstBytes piece = from.bytes(bytes);
  pieces_.insert(pieces_.end(), piece.begin(), piece.end());
  return true;
}

bool Replay::apply_pin(Cursor& from) {
  PinnedSegment segment;
  const ConstBytes session = from.bytes(segment.session.size());
  segment.number = from.integer<std::uint32_t>();
  const ConstBytes bytes = from.bytes(Check{}.size());
  const auto number = from.integer<std::uint64_t>();
  if (!from.ok() || segment.number == 0 || number >= limits::kBlocksMax) return false;
  std::ranges::copy(session, segment.session.begin());
  Check check;
  std::ranges::copy(bytes, check.begin());
  content_.pin(segment, check, number).written = number;
  return true;
}

bool Replay::apply_checkpoint(Cursor& from) {
  const auto number = from.integer<std::uint64_t>();
  const auto bytes = from.integer<std::uint32_t>();
  if (!from.ok() || number > limits::kBlocksMax || number < content_.first() || bytes != pieces_.size()) return false;
  content_.checkpoint(number, std::exchange(pieces_, {}));
  return true;
}

}  // namespace zferry::store
