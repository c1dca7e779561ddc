#include "zstream/writer.h"

#include <algorithm>
#include <utility>

namespace zferry::zstream {

// A header under construction; integers go in in the stream's byte order.
class StreamWriter::Header {
 public:
  explicit Header(bool swapped) : swapped_(swapped) {}

  template <class T>
  void set(std::size_t offset, T value) {
    store_at(Bytes(bytes_), offset, swapped_ ? swap_bytes(value) : value);
  }
  void set_byte(std::size_t offset, std::uint8_t value) { store_at(Bytes(bytes_), offset, value); }
  void set_text(std::size_t offset, std::string_view text) {
    std::copy_n(as_bytes(text).begin(), text.size(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  ConstBytes bytes() const { return bytes_; }

 private:
  bool swapped_;
  std::array<std::byte, kRecordBytes> bytes_{};
};

StreamWriter::Header StreamWriter::start(RecordType type) const {
  Header header(options_.swapped);
  header.set(field::kType, static_cast<std::uint32_t>(type));
  if (type != RecordType::kBegin) header.set(field::kPlaces[static_cast<std::size_t>(type)].toguid, toguid_);
  return header;
}

void StreamWriter::place(Header& header, RecordType type, std::uint64_t object, std::uint64_t offset,
                         std::uint64_t length) const {
  const field::Place& at = field::kPlaces[static_cast<std::size_t>(type)];
  if (at.object != 0) header.set(at.object, object);
  if (at.offset != 0) header.set(at.offset, offset);
  if (at.length != 0) header.set(at.length, length);
}

void StreamWriter::begin(const Begin& begin, ConstBytes payload) {
  ZF_ASSERT(begin.toname.size() < field::kTonameBytes && begin.header_kind < 4);
  toguid_ = begin.toguid;
  Header header = start(RecordType::kBegin);
  header.set(field::kBeginPayloadBytes, static_cast<std::uint32_t>(payload.size()));
  header.set(field::kMagic, kBeginMagic);
  header.set(field::kVersionInfo, begin.header_kind | begin.features << 2);
  header.set(field::kCreationTime, begin.creation_time);
  header.set(field::kBeginFlags, begin.flags);
  header.set(field::kBeginToguid, begin.toguid);
  header.set(field::kFromguid, begin.fromguid);
  header.set_text(field::kToname, begin.toname);
  put(header, payload);
}

void StreamWriter::object(std::uint64_t object, ConstBytes bonus, bool raw) {
  Header header = start(RecordType::kObject);
  place(header, RecordType::kObject, object, 0, 0);
  const auto bonus_bytes = static_cast<std::uint32_t>(bonus.size());
  header.set(field::kObjectBonusBytes, bonus_bytes);
  if (raw) header.set(field::kObjectRawBonusBytes, bonus_bytes);
  raw ? put(header, bonus) : put_padded(header, bonus);
}

void StreamWriter::free_objects(std::uint64_t first, std::uint64_t count) {
  Header header = start(RecordType::kFreeObjects);
  place(header, RecordType::kFreeObjects, first, 0, count);
  put(header, {});
}

void StreamWriter::write(std::uint64_t object, std::uint64_t offset, std::uint64_t logical_bytes, ConstBytes payload,
                         std::uint8_t compression) {
  Header header = start(RecordType::kWrite);
  place(header, RecordType::kWrite, object, offset, logical_bytes);
  header.set_byte(field::kWriteCompression, compression);
  if (compression != 0) header.set(field::kWriteCompressedBytes, std::uint64_t{payload.size()});
  put(header, payload);
}

void StreamWriter::free(std::uint64_t object, std::uint64_t offset, std::uint64_t length) {
  Header header = start(RecordType::kFree);
  place(header, RecordType::kFree, object, offset, length);
  put(header, {});
}

void StreamWriter::end() { put(start(RecordType::kEnd), {}); }

void StreamWriter::end_compound() {
  toguid_ = 0;
  put_record(start(RecordType::kEnd).bytes(), {}, false);
}

void StreamWriter::write_byref(std::uint64_t object, std::uint64_t offset, std::uint64_t length) {
  Header header = start(RecordType::kWriteByref);
  place(header, RecordType::kWriteByref, object, offset, length);
  put(header, {});
}

void StreamWriter::spill(std::uint64_t object, std::uint64_t length, ConstBytes payload) {
  Header header = start(RecordType::kSpill);
  place(header, RecordType::kSpill, object, 0, length);
  if (payload.size() < length) header.set(field::kSpillCompressedBytes, std::uint64_t{payload.size()});
  put(header, payload);
}

void StreamWriter::write_embedded(std::uint64_t object, std::uint64_t offset, std::uint32_t logical_bytes,
                                  ConstBytes payload) {
  Header header = start(RecordType::kWriteEmbedded);
  place(header, RecordType::kWriteEmbedded, object, offset, logical_bytes);
  header.set(field::kEmbeddedLogicalBytes, logical_bytes);
  header.set(field::kEmbeddedBytes, static_cast<std::uint32_t>(payload.size()));
  put_padded(header, payload);
}

void StreamWriter::object_range(std::uint64_t first, std::uint64_t slots) {
  Header header = start(RecordType::kObjectRange);
  place(header, RecordType::kObjectRange, first, 0, slots);
  put(header, {});
}

void StreamWriter::redact(std::uint64_t object, std::uint64_t offset, std::uint64_t length) {
  Header header = start(RecordType::kRedact);
  place(header, RecordType::kRedact, object, offset, length);
  put(header, {});
}

void StreamWriter::record(ConstBytes header, ConstBytes payload) { put_record(header, payload, options_.checksums); }

std::vector<std::byte> StreamWriter::take() { return std::exchange(out_, {}); }

void StreamWriter::put(const Header& header, ConstBytes payload) { record(header.bytes(), payload); }

void StreamWriter::put_padded(const Header& header, ConstBytes payload) {
  std::vector<std::byte> padded(payload.begin(), payload.end());
  padded.resize((payload.size() + 7) / 8 * 8);
  put(header, padded);
}

void StreamWriter::put_record(ConstBytes header, ConstBytes payload, bool checksums) {
  ZF_ASSERT(header.size() == kRecordBytes);
  const Result<RecordHeader> decoded = decode_record(header, options_.swapped);
  ZF_ASSERT(decoded.ok() && decoded->known() && decoded->payload_bytes == payload.size());
  const std::size_t at = out_.size();
  out_.insert(out_.end(), header.begin(), header.end());
  if (decoded->type() == RecordType::kBegin) {
    running_ = {};
    sum(ConstBytes(out_).subspan(at, kRecordBytes));
  } else {
    std::fill_n(out_.begin() + static_cast<std::ptrdiff_t>(at + kChecksumOffset), kChecksumBytes, std::byte{0});
    if (checksums && decoded->type() == RecordType::kEnd) put_checksum(at + field::kEndChecksum);
    sum(ConstBytes(out_).subspan(at, kChecksumOffset));
    if (checksums) put_checksum(at + kChecksumOffset);
    sum(ConstBytes(out_).subspan(at + kChecksumOffset, kChecksumBytes));
  }
  out_.insert(out_.end(), payload.begin(), payload.end());
  sum(payload);
}

void StreamWriter::put_checksum(std::size_t at) {
  for (std::uint64_t part : {running_.a, running_.b, running_.c, running_.d}) {
    store_at(Bytes(out_), at, options_.swapped ? swap_bytes(part) : part);
    at += sizeof part;
  }
}

void StreamWriter::sum(ConstBytes bytes) { running_ = append(running_, fletcher4(bytes, options_.swapped)); }

}  // namespace zferry::zstream
