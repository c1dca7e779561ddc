// The numbers of a journal's records, for records.cc and replay.cc.
#pragma once

#include <cstdint>

namespace zferry::store {

enum class RecordType : std::uint8_t {
  kBegin = 1,       // i64 unix_s, u16 + label: the first of a journal, and only there
  kNote = 2,        // u8 note, u32 + value
  kSegment = 3,     // u32 number, 16 check: before the first block in it
  kBlock = 4,       // u64 number, u64 offset, u32 raw_bytes, u32 packed_bytes, u8 encoding, u32 segment, u32 at
  kTruncate = 5,    // u64 number
  kPiece = 6,       // u32 + bytes
  kCheckpoint = 7,  // u64 number, u32 bytes of the pieces before it
  kCommit = 8,      // nothing; ends its page
  kPin = 9,         // 32 session, u32 segment, 16 check, u64 number
};

}  // namespace zferry::store
