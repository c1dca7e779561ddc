#include "chunk/skeleton.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string>

#include "base/limits.h"
#include "base/saved.h"
#include "zstream/format.h"

namespace zferry::chunk {

using zstream::Fletcher4;
using zstream::kChecksumBytes;
using zstream::kChecksumOffset;
using zstream::kRecordBytes;

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kWords = kRecordBytes / 8;
constexpr std::size_t kFirstChecksumWord = kChecksumOffset / 8;
constexpr std::size_t kFirstKeyWord = kKeyOffset / 8;
static_assert(kKeyOffset % 8 == 0 && kKeyBytes % 8 == 0 && kRawKeyBytes % 8 == 0);

Error bad(const std::string& why) { return {Fault::kProtocol, "a block's skeleton: " + why, {}}; }

bool is_begin(ConstBytes header) { return load<std::uint32_t>(header) == 0; }  // in either byte order

std::array<std::uint64_t, 4> words_of(const Fletcher4& sum, bool swapped) {
  std::array<std::uint64_t, 4> words{sum.a, sum.b, sum.c, sum.d};
  if (swapped)
    for (std::uint64_t& word : words) word = swap_bytes(word);
  return words;
}

// Calls `gap` for each stretch of the block that is neither header nor piece, in order.
void each_gap(std::span<const Layout::Piece> pieces, const std::vector<std::uint32_t>& headers, std::size_t block_bytes,
              const std::function<void(std::size_t offset, std::size_t bytes)>& gap) {
  std::size_t at = 0;
  auto piece = pieces.begin();
  auto header = headers.begin();
  while (piece != pieces.end() || header != headers.end()) {
    const bool next_is_piece = header == headers.end() || (piece != pieces.end() && piece->offset < *header);
    const std::size_t offset = next_is_piece ? piece->offset : *header;
    const std::size_t bytes = next_is_piece ? piece->bytes : kRecordBytes;
    if (offset > at) gap(at, offset - at);
    at = offset + bytes;
    next_is_piece ? static_cast<void>(++piece) : static_cast<void>(++header);
  }
  if (block_bytes > at) gap(at, block_bytes - at);
}

// Which headers' checksums can be made again: those that were verified, where sums go by whole words from the block's
// start on.
std::vector<bool> to_leave_out(const Layout& layout, ConstBytes block, std::uint64_t offset) {
  std::vector<bool> left_out(layout.headers.size(), false);
  const bool by_words = offset % 4 == 0 && !layout.starts_in_header &&
                        std::ranges::all_of(layout.headers, [](auto h) { return h % 4 == 0; });
  if (!by_words) return left_out;
  for (std::size_t i = 0; i < left_out.size(); ++i) {
    const ConstBytes header = block.subspan(layout.headers[i], kRecordBytes);
    const ConstBytes checksum = header.subspan(kChecksumOffset, kChecksumBytes);
    const bool there = std::ranges::any_of(checksum, [](std::byte b) { return b != std::byte{0}; });
    left_out[i] = there && !is_begin(header);
  }
  return left_out;
}

// Of each header, whether a piece of payload follows it, and so its key is in one.
std::vector<bool> keyed(std::span<const Layout::Piece> payload, const std::vector<std::uint32_t>& headers) {
  std::vector<bool> found(headers.size(), false);
  auto piece = payload.begin();
  for (std::size_t i = 0; i < headers.size(); ++i) {
    while (piece != payload.end() && piece->offset < headers[i] + kRecordBytes) ++piece;
    found[i] = piece != payload.end() && piece->offset == headers[i] + kRecordBytes;
  }
  return found;
}

void put_columns(SavedWriter& out, const Layout& layout, ConstBytes block, const std::vector<bool>& left_out) {
  const std::size_t count = layout.headers.size();
  const std::size_t key_words = layout.has_keys ? layout.pieces.back().bytes / 8 : 0;
  const std::vector<bool> has_key = keyed(std::span(layout.pieces).first(layout.payload_pieces()), layout.headers);
  std::vector<std::byte> column(8 * count);
  for (std::size_t word = 0; word < kWords; ++word) {
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const bool in_key = has_key[i] && word >= kFirstKeyWord && word < kFirstKeyWord + key_words;
      const bool absent = in_key || (left_out[i] && word >= kFirstChecksumWord);
      const std::uint64_t value =
          absent ? before : load<std::uint64_t>(block.subspan(layout.headers[i], kRecordBytes), word * 8);
      const std::uint64_t difference = value - before;
      for (std::size_t b = 0; b < 8; ++b) column[b * count + i] = static_cast<std::byte>(difference >> (8 * b));
      before = value;
    }
    out.array(column);
  }
}

}  // namespace

// version, u8 words of a key (0: they are not in pieces), u32 count of pieces of payload, u32 each: what stands before
// it since the last, u32 each: its length; u32 count of headers, u32 each: its distance from the last, a bit each: its
// checksum is left out; u8 swapped, u8 sum is there, the sum; what is neither; the headers' columns.
std::vector<std::byte> encode_skeleton(const Layout& layout, ConstBytes block, std::uint64_t offset,
                                       const std::optional<Fletcher4>& running) {
  SavedWriter out(kVersion);
  const std::span payload = std::span(layout.pieces).first(layout.payload_pieces());
  out.integer(static_cast<std::uint8_t>(layout.has_keys ? layout.pieces.back().bytes / 8 : 0));
  out.integer(static_cast<std::uint32_t>(payload.size()));
  std::uint32_t at = 0;
  for (const Layout::Piece& piece : payload) {
    out.integer(piece.offset - at);
    at = piece.offset + piece.bytes;
  }
  for (const Layout::Piece& piece : payload) out.integer(piece.bytes);
  out.integer(static_cast<std::uint32_t>(layout.headers.size()));
  at = 0;
  for (std::uint32_t header : layout.headers) {
    out.integer(header - at);
    at = header;
  }
  std::vector<bool> left_out(layout.headers.size(), false);
  if (running) left_out = to_leave_out(layout, block, offset);
  for (std::size_t i = 0; i < left_out.size(); i += 8) {
    std::uint8_t bits = 0;
    for (std::size_t b = 0; b < 8 && i + b < left_out.size(); ++b)
      bits |= static_cast<std::uint8_t>(left_out[i + b] << b);
    out.integer(bits);
  }
  const bool sum_needed = std::ranges::find(left_out, true) != left_out.end();
  out.flag(layout.swapped).flag(sum_needed);
  if (sum_needed)
    for (std::uint64_t word : {running->a, running->b, running->c, running->d}) out.integer(word);
  each_gap(payload, layout.headers, block.size(),
           [&](std::size_t from, std::size_t bytes) { out.array(block.subspan(from, bytes)); });
  put_columns(out, layout, block, left_out);
  return out.take();
}

Result<Skeleton> Skeleton::decode(ConstBytes encoded, std::size_t block_bytes) {
  SavedReader in("a block's skeleton", kVersion, encoded);
  Skeleton skeleton;
  skeleton.block_bytes_ = block_bytes;
  const auto key_words = in.integer<std::uint8_t>("keys", 0, kRawKeyBytes / 8);
  const auto pieces = in.integer<std::uint32_t>("pieces", 0, limits::kBlockPiecesMax);
  std::uint64_t at = 0;
  for (std::uint32_t i = 0; i < pieces && in.ok(); ++i) {
    at += in.integer<std::uint32_t>("piece");
    in.check("piece", at <= block_bytes);
    skeleton.pieces_.push_back({static_cast<std::uint32_t>(at), 0});
  }
  // The gaps before; then the lengths make offsets of them.
  std::uint64_t before = 0;
  for (Layout::Piece& piece : skeleton.pieces_) {
    piece.bytes = in.integer<std::uint32_t>("piece length", 1, UINT32_MAX);
    const std::uint64_t offset = piece.offset + before;
    if (!in.check("piece length", offset + piece.bytes <= block_bytes)) break;
    piece.offset = static_cast<std::uint32_t>(offset);
    before += piece.bytes;
  }
  skeleton.payload_bytes_ = before;
  const auto headers = in.integer<std::uint32_t>("headers", 0, static_cast<std::uint32_t>(block_bytes / kRecordBytes));
  at = 0;
  for (std::uint32_t i = 0; i < headers && in.ok(); ++i) {
    const auto distance = in.integer<std::uint32_t>("header");
    in.check("header", i == 0 || distance >= kRecordBytes);
    at += distance;
    in.check("header", at + kRecordBytes <= block_bytes);
    skeleton.headers_.push_back(static_cast<std::uint32_t>(at));
  }
  const ConstBytes bits = in.array("left out", (headers + 7) / 8);
  skeleton.swapped_ = in.flag("byte order");
  Fletcher4 sum;
  if (in.flag("sum")) {
    for (std::uint64_t* word : {&sum.a, &sum.b, &sum.c, &sum.d}) *word = in.integer<std::uint64_t>("sum");
    skeleton.running_ = sum;
  }
  if (!in.ok()) return bad("it does not decode");
  for (std::uint32_t i = 0; i < headers; ++i)
    skeleton.left_out_.push_back((std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1) != 0);
  // Nothing may lie in anything else.
  auto header = skeleton.headers_.begin();
  for (const Layout::Piece& piece : skeleton.pieces_) {
    while (header != skeleton.headers_.end() && *header + kRecordBytes <= piece.offset) ++header;
    if (header != skeleton.headers_.end() && *header < piece.offset + piece.bytes)
      return bad("a header lies in a piece");
  }
  if (before + headers * kRecordBytes > block_bytes) return bad("it is longer than the block");
  const std::size_t other = block_bytes - static_cast<std::size_t>(before) - headers * kRecordBytes;
  const ConstBytes rest = in.array("bytes", other);
  const ConstBytes columns = in.array("columns", headers * kRecordBytes);
  if (Status status = in.finish(); !status) return bad("its length is wrong");
  skeleton.payload_pieces_ = skeleton.pieces_.size();
  if (key_words > 0) {
    const std::vector<bool> has_key = keyed(skeleton.pieces_, skeleton.headers_);
    if (std::ranges::count(has_key, true) != static_cast<std::ptrdiff_t>(pieces)) return bad("a key has no header");
    for (std::size_t i = 0; i < has_key.size(); ++i)
      if (has_key[i]) skeleton.pieces_.push_back({skeleton.headers_[i] + kKeyOffset, key_words * 8u});
    skeleton.payload_bytes_ += pieces * key_words * 8u;
  }
  skeleton.other_.assign(rest.begin(), rest.end());
  skeleton.columns_.assign(columns.begin(), columns.end());
  return skeleton;
}

void Skeleton::put(Bytes block) const {
  ZF_ASSERT(block.size() == block_bytes_);
  std::size_t from = 0;
  each_gap(std::span(pieces_).first(payload_pieces_), headers_, block_bytes_,
           [&](std::size_t offset, std::size_t bytes) {
             copy_bytes(ConstBytes(other_).subspan(from, bytes), block.subspan(offset));
             from += bytes;
           });
  const std::size_t count = headers_.size();
  for (std::size_t word = 0; word < kWords; ++word) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      std::uint64_t difference = 0;
      for (std::size_t b = 0; b < 8; ++b)
        difference |= std::to_integer<std::uint64_t>(columns_[(word * 8 + b) * count + i]) << (8 * b);
      value += difference;
      store_at(block, headers_[i] + word * 8, value);
    }
  }
}

Status Skeleton::put_checksums(Bytes block) const {
  if (!running_) return {};
  Fletcher4 running = *running_;
  std::size_t at = 0;
  for (std::size_t i = 0; i < headers_.size(); ++i) {
    const std::size_t header = headers_[i];
    if (is_begin(block.subspan(header, kRecordBytes))) {
      running = {};
      at = header;
    }
    if (!left_out_[i]) continue;
    const std::size_t end = header + kChecksumOffset;
    if ((end - at) % 4 != 0) return bad("a checksum is left out where sums go by no whole words");
    running = zstream::append(running, zstream::fletcher4(block.subspan(at, end - at), swapped_));
    const std::array<std::uint64_t, 4> words = words_of(running, swapped_);
    for (std::size_t w = 0; w < words.size(); ++w) store_at(block, end + 8 * w, words[w]);
    at = end;
  }
  return {};
}

}  // namespace zferry::chunk
