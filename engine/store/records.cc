// Encoding records.
#include "store/records.h"

#include <utility>

#include "store/record_types.h"

namespace zferry::store {
namespace {

void add(std::vector<std::byte>& page, ConstBytes bytes) { page.insert(page.end(), bytes.begin(), bytes.end()); }
template <class T>
void add(std::vector<std::byte>& page, T value) {
  add(page, std::as_bytes(std::span(&value, 1)));
}

}  // namespace

std::vector<std::byte>& Pages::page_for(std::size_t record_bytes) {
  ZF_ASSERT(record_bytes < kPageBytesMax);  // the commit record finds room behind it
  if (ended_ || pages_.back().size() + record_bytes >= kPageBytesMax) {
    pages_.emplace_back();
    ended_ = false;
  }
  bytes_ += record_bytes;
  return pages_.back();
}

void Pages::begin(std::int64_t unix_s, std::string_view label) {
  label = label.substr(0, kLabelBytesMax);
  auto& page = page_for(1 + 8 + 2 + label.size());
  add(page, RecordType::kBegin);
  add(page, unix_s);
  add(page, static_cast<std::uint16_t>(label.size()));
  add(page, as_bytes(label));
}

void Pages::note(Note note, ConstBytes value) {
  ZF_ASSERT(value.size() <= kNoteBytesMax);
  auto& page = page_for(1 + 1 + 4 + value.size());
  add(page, RecordType::kNote);
  add(page, note);
  add(page, static_cast<std::uint32_t>(value.size()));
  add(page, value);
}

void Pages::segment(std::uint32_t number, const Check& check) {
  auto& page = page_for(kSegmentRecordBytes);
  add(page, RecordType::kSegment);
  add(page, number);
  add(page, ConstBytes(check));
}

void Pages::block(const BlockFacts& block, const Place& place) {
  std::array<std::byte, kBlockRecordBytes> record;
  const Bytes to = record;
  to[0] = static_cast<std::byte>(RecordType::kBlock);
  store_at(to, 1, block.number);
  store_at(to, 9, block.offset);
  store_at(to, 17, block.raw_bytes);
  store_at(to, 21, block.packed_bytes);
  store_at(to, 25, block.encoding);
  store_at(to, 26, place.segment);
  store_at(to, 30, place.at);
  add(page_for(record.size()), ConstBytes(record));
}

void Pages::truncate(std::uint64_t number) {
  auto& page = page_for(1 + 8);
  add(page, RecordType::kTruncate);
  add(page, number);
}

void Pages::piece(ConstBytes bytes) {
  ZF_ASSERT(!bytes.empty() && bytes.size() <= kPieceBytesMax);
  auto& page = page_for(1 + 4 + bytes.size());
  add(page, RecordType::kPiece);
  add(page, static_cast<std::uint32_t>(bytes.size()));
  add(page, bytes);
}

void Pages::checkpoint(std::uint64_t number, std::size_t state_bytes) {
  auto& page = page_for(kCheckpointRecordBytes);
  add(page, RecordType::kCheckpoint);
  add(page, number);
  add(page, static_cast<std::uint32_t>(state_bytes));
}

void Pages::pin(const PinnedSegment& segment, const Check& check, std::uint64_t number) {
  auto& page = page_for(kPinRecordBytes);
  add(page, RecordType::kPin);
  add(page, ConstBytes(segment.session));
  add(page, segment.number);
  add(page, ConstBytes(check));
  add(page, number);
}

void Pages::commit() {
  add(page_for(1), RecordType::kCommit);
  ended_ = true;
}

std::vector<std::vector<std::byte>> Pages::take() {
  bytes_ = 0;
  ended_ = true;
  return std::exchange(pages_, {});
}

}  // namespace zferry::store
