// Block: u64 number, u64 offset, u32 raw_bytes, u32 packed_bytes, u8 encoding.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Block& message) {
  return Builder()
      .integer(message.number)
      .integer(message.offset)
      .integer(message.raw_bytes)
      .integer(message.packed_bytes)
      .enumerator(message.encoding)
      .take();
}

Result<Block> decode_block(ConstBytes bytes) {
  Cursor cursor("BLOCK", bytes);
  Block message;
  message.number = cursor.integer<std::uint64_t>("number", 0, limits::kBlocksMax - 1);
  message.offset = cursor.integer<std::uint64_t>("offset", 0, kOffsetMax);
  message.raw_bytes = cursor.integer<std::uint32_t>("raw_bytes", 1, limits::kBlockBytesMax);
  message.packed_bytes = cursor.integer<std::uint32_t>("packed_bytes", 1, message.raw_bytes);
  message.encoding = cursor.enumerator("encoding", kEncodings);
  cursor.check("packed_bytes", message.encoding != Encoding::kStored || message.packed_bytes == message.raw_bytes);
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
