// The send stream's record format: one header for reader and writer. docs/ARCHITECTURE.md, "The stream". Source: OpenZFS,
// include/sys/zfs_ioctl.h. Offsets are from the start of the 312-byte record header; integers are in the sender's byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zferry::zstream {

inline constexpr std::size_t kRecordBytes = 312;
inline constexpr std::size_t kChecksumOffset = 280;       // 4 x u64, on every type but BEGIN
inline constexpr std::uint64_t kBeginMagic = 0x2F5bacbac;
inline constexpr std::size_t kRecordTypes = 11;

enum class RecordType : std::uint32_t {
  kBegin = 0, kObject = 1, kFreeObjects = 2, kWrite = 3, kFree = 4, kEnd = 5,
  kWriteByref = 6, kSpill = 7, kWriteEmbedded = 8, kObjectRange = 9, kRedact = 10,
};
// "BEGIN", "OBJECT", … "REDACT".
std::string_view record_type_name(RecordType type);

}  // namespace zferry::zstream
