#include "chunk/cutter.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace zferry::chunk {

using zstream::kRecordBytes;
using zstream::RecordType;

void Cutter::scan(ConstBytes bytes) {
  while (!bytes.empty()) {
    std::size_t taken = 0;
    switch (mode_) {
      case Mode::kHeader: taken = take_header(bytes); break;
      case Mode::kPayload: taken = take_payload(bytes); break;
      case Mode::kOpaque: taken = take_opaque(bytes); break;
    }
    bytes = bytes.subspan(taken);
  }
}

std::size_t Cutter::take_header(ConstBytes bytes) {
  const std::size_t taken = std::min(kRecordBytes - held_bytes_, bytes.size());
  std::copy_n(bytes.begin(), taken, held_.begin() + static_cast<std::ptrdiff_t>(held_bytes_));
  held_bytes_ += taken;
  scanned_ += taken;
  const std::uint64_t begin = scanned_ - held_bytes_;
  if (!begun_) {
    // As long as it may be a stream; what it is then decides how its first bytes are cut.
    const ConstBytes prefix = ConstBytes(held_).first(held_bytes_);
    const bool ours = zstream::match_begin(prefix, false) != zstream::BeginMatch::kNo;
    const bool other = zstream::match_begin(prefix, true) != zstream::BeginMatch::kNo;
    if (!ours && !other) {
      become_opaque(begin);
      return taken;
    }
    swapped_ = !ours;
  }
  if (held_bytes_ == kRecordBytes) {
    begun_ = true;
    held_bytes_ = 0;
    on_header(held_);
  }
  return taken;
}

void Cutter::on_header(ConstBytes header) {
  const std::uint64_t at = scanned_ - kRecordBytes;
  auto record = zstream::decode_record(header, swapped_);
  const bool sound =
      record && record->known() && (!record->is(RecordType::kBegin) || record->magic == zstream::kBeginMagic);
  if (!sound) return become_opaque(at);
  if (record->is(RecordType::kBegin)) raw_ = zstream::has_feature(record->versioninfo, zstream::kFeatureRaw);
  const bool joins = record->is(RecordType::kWrite) && extent_ && extent_->object == record->object &&
                     extent_->next == record->offset && record->length <= extent_end_ - record->offset &&
                     record->payload_bytes <= sizes_.extent_bytes && extent_->pieces < kUnitsOfChunkMax;
  if (!joins && chunk_pieces_ > 0) end_chunk();
  if (!joins) bound(at);
  if (at >= cut_) items_.push_back({at, kRecordBytes, What::kHeader});
  payload_left_ = record->payload_bytes;
  payload_is_chunk_ = record->is(RecordType::kWrite);
  long_left_ = 0;
  if (payload_is_chunk_) on_write(*record);
  mode_ = Mode::kPayload;
  if (payload_left_ == 0) end_record();
}

// Short records of one object join to an aligned extent; a long one is cut into such extents, so that it shares them
// with a stream of the same content in shorter records. What is compressed has no extents: it is cut at a block's
// length.
void Cutter::on_write(const zstream::RecordHeader& record) {
  const std::uint64_t number = record.offset / sizes_.extent_bytes;
  const bool is_long = record.payload_bytes > sizes_.extent_bytes || record.length > sizes_.extent_bytes;
  if (is_long) {
    end_chunk();
    bound(scanned_);
    const bool has_extents = record.payload_bytes == record.length;
    long_step_ = has_extents ? sizes_.extent_bytes : sizes_.block_bytes;
    long_left_ = long_step_ - (has_extents ? record.offset % long_step_ : 0);
    return;
  }
  if (!extent_) {
    extent_ = Extent{record.object, number, 0, 0};
    extent_end_ = (number + 1) * sizes_.extent_bytes;
    if (extent_end_ == 0) --extent_end_;  // the last one that there is
  }
  extent_->next = record.offset + record.length;
  ++extent_->pieces;
}

std::size_t Cutter::take_payload(ConstBytes bytes) {
  auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, bytes.size()));
  if (long_left_ > 0) taken = std::min(taken, long_left_);
  if (payload_is_chunk_) add_piece(scanned_, taken);
  scanned_ += taken;
  payload_left_ -= taken;
  if (long_left_ > 0) {
    long_left_ -= taken;
    if (long_left_ == 0 && payload_left_ > 0) {
      end_chunk();
      bound(scanned_);
      long_left_ = long_step_;
    }
  }
  if (payload_left_ == 0) end_record();
  return taken;
}

void Cutter::end_record() {
  mode_ = Mode::kHeader;
  const bool may_join = extent_ && extent_->next < extent_end_ && extent_->next > 0;
  if (may_join) return;
  end_chunk();
  bound(scanned_);
}

std::size_t Cutter::take_opaque(ConstBytes bytes) {
  bool ends = false;
  const std::size_t taken = gear_.take(bytes, ends);
  add_piece(scanned_, taken);
  scanned_ += taken;
  if (ends) {
    end_chunk();
    bound(scanned_);
  }
  return taken;
}

// What was held of a header is the beginning of what follows, but for what is in a block already.
void Cutter::become_opaque(std::uint64_t from) {
  end_chunk();
  bound(from);
  mode_ = Mode::kOpaque;
  const auto held = static_cast<std::size_t>(scanned_ - from);
  const auto gone = static_cast<std::size_t>(from < cut_ ? cut_ - from : 0);
  held_bytes_ = 0;
  scanned_ = from + gone;
  for (ConstBytes rest = ConstBytes(held_).first(held).subspan(gone); !rest.empty();)
    rest = rest.subspan(take_opaque(rest));
}

void Cutter::add_piece(std::uint64_t at, std::uint64_t bytes) {
  if (bytes == 0) return;
  Item* last = items_.empty() ? nullptr : &items_.back();
  if (chunk_pieces_ > 0 && last != nullptr && last->what != What::kHeader && last->at + last->bytes == at) {
    last->bytes += static_cast<std::uint32_t>(bytes);
    return;
  }
  const What what = chunk_pieces_++ == 0 ? What::kStart : What::kMore;
  items_.push_back({at, static_cast<std::uint32_t>(bytes), what});
}

void Cutter::end_chunk() {
  extent_.reset();
  if (chunk_pieces_ == 0) return;
  message_bytes_ += message_bytes(chunk_pieces_);
  chunk_pieces_ = 0;
}

void Cutter::bound(std::uint64_t at) {
  if (at <= cut_ || (!bounds_.empty() && bounds_.back().at >= at)) return;
  bounds_.push_back({at, message_bytes_});
}

std::size_t Cutter::whole(std::size_t most) const {
  std::uint64_t best = cut_;
  for (const Bound& bound : bounds_) {
    if (bound.at - cut_ > most) break;
    if (bound.message_bytes - cut_message_bytes_ > kMessageBytesMax && best > cut_) break;
    best = bound.at;
  }
  return static_cast<std::size_t>(best - cut_);
}

std::size_t Cutter::next_whole(std::size_t least) const {
  for (const Bound& bound : bounds_)
    if (bound.at - cut_ > least) return static_cast<std::size_t>(bound.at - cut_);
  return 0;
}

// A chunk that a block's end splits is two; a header that it splits is none of either block: whether it splits one.
bool Cutter::split(std::uint64_t end) {
  bool in_header = mode_ == Mode::kHeader && held_bytes_ > 0 && scanned_ - held_bytes_ < end;
  auto item = std::find_if(items_.begin(), items_.end(), [end](const Item& i) { return i.at + i.bytes > end; });
  if (item != items_.end() && item->at < end) {
    Item behind{end, static_cast<std::uint32_t>(item->at + item->bytes - end), What::kStart};
    item->bytes -= behind.bytes;
    in_header = item->what == What::kHeader;
    item = in_header ? items_.erase(item) : items_.insert(std::next(item), behind);
  }
  item = std::find_if(item, items_.end(), [](const Item& i) { return i.what != What::kHeader; });
  if (item != items_.end()) {
    item->what = What::kStart;
    return in_header;
  }
  end_chunk();
  if (mode_ == Mode::kOpaque) gear_.restart();
  return in_header;
}

Layout Cutter::cut(std::size_t bytes) {
  ZF_ASSERT(bytes > 0 && bytes <= waiting());
  const std::uint64_t end = cut_ + bytes;
  const auto found = std::find_if(bounds_.begin(), bounds_.end(), [end](const Bound& b) { return b.at >= end; });
  const bool whole = found != bounds_.end() && found->at == end;
  const bool starts_in_header = std::exchange(in_header_, !whole && split(end));
  if (whole) {
    cut_message_bytes_ = found->message_bytes;
  } else {
    cut_message_bytes_ = found == bounds_.begin() ? cut_message_bytes_ : std::prev(found)->message_bytes;
  }
  Layout layout = layout_of(end);
  layout.starts_in_header = starts_in_header;
  bounds_.erase(bounds_.begin(), whole ? std::next(found) : found);
  cut_ = end;
  return layout;
}

Layout Cutter::layout_of(std::uint64_t end) {
  Layout layout;
  layout.swapped = swapped_;
  std::vector<Layout::Piece> pieces;  // of the chunk in hand
  while (!items_.empty() && items_.front().at < end) {
    const Item item = items_.front();
    items_.pop_front();
    const auto offset = static_cast<std::uint32_t>(item.at - cut_);
    if (item.what == What::kHeader) {
      layout.headers.push_back(offset);
      continue;
    }
    if (item.what == What::kStart) add_chunk(layout, std::exchange(pieces, {}));
    pieces.push_back({offset, item.bytes});
  }
  add_chunk(layout, pieces);
  add_keys(layout);
  return layout;
}

// Where every piece has its header before it in the block, and there are enough of them to be worth an id.
void Cutter::add_keys(Layout& layout) const {
  const std::size_t count = layout.pieces.size();
  if (count < kKeyedRecordsMin || count > kUnitsOfChunkMax) return;
  auto header = layout.headers.begin();
  for (const Layout::Piece& piece : layout.pieces) {
    while (header != layout.headers.end() && *header + kRecordBytes < piece.offset) ++header;
    if (header == layout.headers.end() || *header + kRecordBytes != piece.offset) return;
  }
  const std::uint32_t bytes = raw_ ? kRawKeyBytes : kKeyBytes;
  Layout::Chunk keys{static_cast<std::uint32_t>(layout.units.size()), 0, 0};
  for (std::size_t i = 0; i < count; ++i)
    layout.pieces.push_back({layout.pieces[i].offset - static_cast<std::uint32_t>(kRecordBytes) + kKeyOffset, bytes});
  for (const Layout::Chunk& chunk : layout.chunks) {
    std::uint32_t pieces = 0;
    for (std::size_t u = chunk.first_unit; u < chunk.first_unit + chunk.units; ++u) pieces += layout.units[u].pieces;
    const std::uint32_t first = layout.units[chunk.first_unit].first_piece + static_cast<std::uint32_t>(count);
    layout.units.push_back({first, pieces, pieces * bytes});
    ++keys.units;
    keys.bytes += pieces * bytes;
  }
  layout.chunks.push_back(keys);
  layout.has_keys = true;
}

void Cutter::add_chunk(Layout& layout, const std::vector<Layout::Piece>& pieces) const {
  std::uint64_t bytes = 0;
  std::uint32_t shortest = UINT32_MAX;
  for (const Layout::Piece& piece : pieces) {
    bytes += piece.bytes;
    shortest = std::min(shortest, piece.bytes);
  }
  if (bytes < sizes_.chunk_bytes_min) return;  // it stays in the skeleton
  const bool apart = pieces.size() > 1 && shortest >= sizes_.unit_bytes_min;
  const auto first_piece = static_cast<std::uint32_t>(layout.pieces.size());
  const auto first_unit = static_cast<std::uint32_t>(layout.units.size());
  const auto piece_count = static_cast<std::uint32_t>(pieces.size());
  layout.pieces.insert(layout.pieces.end(), pieces.begin(), pieces.end());
  if (apart) {
    for (std::uint32_t i = 0; i < piece_count; ++i) layout.units.push_back({first_piece + i, 1, pieces[i].bytes});
  } else {
    layout.units.push_back({first_piece, piece_count, static_cast<std::uint32_t>(bytes)});
  }
  layout.chunks.push_back({first_unit, apart ? piece_count : 1, static_cast<std::uint32_t>(bytes)});
}

}  // namespace zferry::chunk
