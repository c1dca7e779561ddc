#include "zstream/format.h"

#include <algorithm>
#include <string>

#include "base/limits.h"

namespace zferry::zstream {

namespace {

constexpr std::array<std::string_view, kRecordTypes> kNames{"BEGIN",          "OBJECT",       "FREEOBJECTS", "WRITE",
                                                            "FREE",           "END",          "WRITE_BYREF", "SPILL",
                                                            "WRITE_EMBEDDED", "OBJECT_RANGE", "REDACT"};

// A header's integers in our byte order.
struct Fields {
  ConstBytes header;
  bool swapped;

  template <class T>
  T at(std::size_t offset) const {
    T value = load<T>(header, offset);
    return swapped ? swap_bytes(value) : value;
  }
  std::uint8_t byte(std::size_t offset) const { return load<std::uint8_t>(header, offset); }
  // A shared field by its place in kPlaces, where 0 means that there is none.
  std::uint64_t shared(std::uint8_t offset) const { return offset == 0 ? 0 : at<std::uint64_t>(offset); }
  Fletcher4 checksum(std::size_t offset) const {
    Fletcher4 sum;
    sum.a = at<std::uint64_t>(offset);
    sum.b = at<std::uint64_t>(offset + 8);
    sum.c = at<std::uint64_t>(offset + 16);
    sum.d = at<std::uint64_t>(offset + 24);
    return sum;
  }
};

std::uint64_t round_up_to_8(std::uint32_t bytes) { return (std::uint64_t{bytes} + 7) & ~std::uint64_t{7}; }

std::uint64_t payload_bytes(RecordType type, const Fields& fields) {
  switch (type) {
    case RecordType::kBegin: return fields.at<std::uint32_t>(field::kBeginPayloadBytes);
    case RecordType::kObject: {
      auto raw = fields.at<std::uint32_t>(field::kObjectRawBonusBytes);
      return raw != 0 ? raw : round_up_to_8(fields.at<std::uint32_t>(field::kObjectBonusBytes));
    }
    case RecordType::kWrite:
      return fields.at<std::uint64_t>(fields.byte(field::kWriteCompression) != 0 ? field::kWriteCompressedBytes
                                                                                 : field::kWriteLogicalBytes);
    case RecordType::kSpill: {
      auto compressed = fields.at<std::uint64_t>(field::kSpillCompressedBytes);
      return compressed != 0 ? compressed : fields.at<std::uint64_t>(field::kSpillBytes);
    }
    case RecordType::kWriteEmbedded: return round_up_to_8(fields.at<std::uint32_t>(field::kEmbeddedBytes));
    case RecordType::kFreeObjects:
    case RecordType::kFree:
    case RecordType::kEnd:
    case RecordType::kWriteByref:
    case RecordType::kObjectRange:
    case RecordType::kRedact: return 0;
  }
  return 0;
}

std::uint64_t payload_bytes_max(RecordType type) {
  switch (type) {
    case RecordType::kBegin: return limits::kBeginPayloadBytesMax;
    case RecordType::kWrite: return limits::kWritePayloadBytesMax;
    default: return limits::kOtherPayloadBytesMax;
  }
}

}  // namespace

std::string_view record_type_name(RecordType type) {
  auto index = static_cast<std::size_t>(type);
  return index < kNames.size() ? kNames[index] : "unknown";
}

Result<RecordHeader> decode_record(ConstBytes header, bool swapped) {
  ZF_ASSERT(header.size() == kRecordBytes);
  const Fields fields{header, swapped};
  RecordHeader record;
  record.type_number = fields.at<std::uint32_t>(field::kType);
  record.checksum = fields.checksum(kChecksumOffset);
  if (!record.known()) return record;

  const RecordType type = record.type();
  const field::Place& place = field::kPlaces[record.type_number];
  record.object = fields.shared(place.object);
  record.offset = fields.shared(place.offset);
  record.length = fields.shared(place.length);
  record.toguid = fields.shared(place.toguid);
  if (type == RecordType::kBegin) {
    record.checksum = {};  // toname reaches into that place
    record.magic = fields.at<std::uint64_t>(field::kMagic);
    record.versioninfo = fields.at<std::uint64_t>(field::kVersionInfo);
    record.fromguid = fields.at<std::uint64_t>(field::kFromguid);
    std::string_view name = as_text(header.subspan(field::kToname, field::kTonameBytes));
    record.toname = name.substr(0, std::min(name.find('\0'), name.size()));
  } else if (type == RecordType::kEnd) {
    record.end_checksum = fields.checksum(field::kEndChecksum);
  }
  record.payload_bytes = payload_bytes(type, fields);
  if (record.payload_bytes > payload_bytes_max(type)) {
    return Error{Fault::kStreamDamaged,
                 "claims a payload of " + std::to_string(record.payload_bytes) + " bytes, more than " +
                     std::to_string(payload_bytes_max(type)),
                 {}};
  }
  return record;
}

BeginMatch match_begin(ConstBytes prefix, bool swapped) {
  const std::uint64_t magic = swapped ? swap_bytes(kBeginMagic) : kBeginMagic;
  const ConstBytes magic_bytes = std::as_bytes(std::span(&magic, 1));
  const std::size_t decisive = field::kMagic + sizeof magic;
  for (std::size_t i = 0; i < std::min(prefix.size(), decisive); ++i) {
    if (i < field::kBeginPayloadBytes && prefix[i] != std::byte{0}) return BeginMatch::kNo;
    if (i >= field::kMagic && prefix[i] != magic_bytes[i - field::kMagic]) return BeginMatch::kNo;
  }
  return prefix.size() >= decisive ? BeginMatch::kYes : BeginMatch::kMaybe;
}

}  // namespace zferry::zstream
