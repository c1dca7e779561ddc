// The send stream's record format: one header for reader and writer. docs/ARCHITECTURE.md, "The stream". Source:
// OpenZFS, include/sys/zfs_ioctl.h. Offsets are from the start of the 312-byte record header; integers are in the
// sender's byte order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "zstream/fletcher4.h"

namespace zferry::zstream {

inline constexpr std::size_t kRecordBytes = 312;
inline constexpr std::size_t kChecksumOffset = 280;  // 4 x u64, on every type but BEGIN
inline constexpr std::size_t kChecksumBytes = 32;
inline constexpr std::uint64_t kBeginMagic = 0x2F5bacbac;
inline constexpr std::size_t kRecordTypes = 11;

enum class RecordType : std::uint32_t {
  kBegin = 0,
  kObject = 1,
  kFreeObjects = 2,
  kWrite = 3,
  kFree = 4,
  kEnd = 5,
  kWriteByref = 6,
  kSpill = 7,
  kWriteEmbedded = 8,
  kObjectRange = 9,
  kRedact = 10,
};
// "BEGIN", "OBJECT", … "REDACT".
std::string_view record_type_name(RecordType type);

// Where the fields of a header lie; reader and writer both use these.
namespace field {
inline constexpr std::size_t kType = 0;
inline constexpr std::size_t kBeginPayloadBytes = 4;
inline constexpr std::size_t kMagic = 8;
inline constexpr std::size_t kVersionInfo = 16;
inline constexpr std::size_t kCreationTime = 24;
inline constexpr std::size_t kObjsetType = 32;
inline constexpr std::size_t kBeginFlags = 36;
inline constexpr std::size_t kBeginToguid = 40;
inline constexpr std::size_t kFromguid = 48;
inline constexpr std::size_t kToname = 56;
inline constexpr std::size_t kTonameBytes = 256;
inline constexpr std::size_t kEndChecksum = 8;
inline constexpr std::size_t kObjectBonusBytes = 28;
inline constexpr std::size_t kObjectRawBonusBytes = 36;
inline constexpr std::size_t kWriteLogicalBytes = 32;
inline constexpr std::size_t kWriteCompression = 50;
inline constexpr std::size_t kWriteCompressedBytes = 96;
inline constexpr std::size_t kSpillBytes = 16;
inline constexpr std::size_t kSpillCompressedBytes = 40;
inline constexpr std::size_t kEmbeddedLogicalBytes = 48;
inline constexpr std::size_t kEmbeddedBytes = 52;

// The u64 fields that most types share, by RecordType; 0 where a type has none (a count of objects or slots is its
// length).
struct Place {
  std::uint8_t object, offset, length, toguid;
};
inline constexpr std::array<Place, kRecordTypes> kPlaces{{
    {0, 0, 0, kBeginToguid},  // BEGIN
    {8, 0, 0, 40},            // OBJECT
    {8, 0, 16, 24},           // FREEOBJECTS
    {8, 24, 32, 40},          // WRITE
    {8, 16, 24, 32},          // FREE
    {0, 0, 0, 40},            // END
    {8, 16, 24, 32},          // WRITE_BYREF
    {8, 0, 16, 24},           // SPILL
    {8, 16, 24, 32},          // WRITE_EMBEDDED
    {8, 0, 16, 24},           // OBJECT_RANGE
    {8, 16, 24, 32},          // REDACT
}};
}  // namespace field

// versioninfo of BEGIN: bits 0 and 1 say what follows, the features come after them. Unknown features are carried, not
// judged.
inline constexpr std::uint64_t kHeaderSubstream = 1;
inline constexpr std::uint64_t kHeaderCompound = 2;
constexpr std::uint64_t header_kind(std::uint64_t versioninfo) { return versioninfo & 3; }
constexpr bool has_feature(std::uint64_t versioninfo, unsigned bit) { return (versioninfo >> (2 + bit) & 1) != 0; }
inline constexpr unsigned kFeatureDedup = 0;
inline constexpr unsigned kFeatureResuming = 20;
inline constexpr unsigned kFeatureCompressed = 22;
inline constexpr unsigned kFeatureRaw = 24;

// A header, decoded into our byte order. Fields that a type does not have are zero or empty.
struct RecordHeader {
  std::uint32_t type_number = 0;    // any number: the type may be one that we do not know
  std::uint64_t payload_bytes = 0;  // within the bound of its type; 0 for an unknown type
  std::uint64_t object = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t toguid = 0;
  std::uint64_t magic = 0;  // BEGIN only, like the four that follow
  std::uint64_t versioninfo = 0;
  std::uint64_t fromguid = 0;
  std::string_view toname;  // raw bytes inside the header that was decoded, up to the first NUL
  Fletcher4 checksum;       // as stored at kChecksumOffset; zero on BEGIN, and where the sender left it out
  Fletcher4 end_checksum;   // END's own field: the running value before END; zero where left out

  bool known() const { return type_number < kRecordTypes; }
  bool is(RecordType other) const { return type_number == static_cast<std::uint32_t>(other); }
  // REQUIRES: known().
  RecordType type() const {
    ZF_ASSERT(known());
    return static_cast<RecordType>(type_number);
  }
};

// REQUIRES: header.size() == kRecordBytes. Errors: kStreamDamaged, where the payload would be longer than its type
// allows; the text does not say which record it is.
Result<RecordHeader> decode_record(ConstBytes header, bool swapped);

enum class BeginMatch { kNo, kMaybe, kYes };
// Whether a stream that starts with these bytes starts with a BEGIN; kMaybe needs more of them, 16 decide.
BeginMatch match_begin(ConstBytes prefix, bool swapped);

}  // namespace zferry::zstream
