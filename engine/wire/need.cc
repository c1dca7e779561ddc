// Need: u64 number, u8 whole, u8 count of words, u64 each.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Need& message) {
  ZF_ASSERT(message.missing.size() <= kBlockUnitsMax / 64);
  return Builder()
      .integer(message.number)
      .integer(static_cast<std::uint8_t>(message.whole))
      .integer(static_cast<std::uint8_t>(message.missing.size()))
      .bytes(std::as_bytes(std::span(message.missing)))
      .take();
}

Result<Need> decode_need(ConstBytes bytes) {
  Cursor cursor("NEED", bytes);
  Need message;
  message.number = cursor.integer<std::uint64_t>("number", 0, limits::kBlocksMax - 1);
  message.whole = cursor.integer<std::uint8_t>("whole", 0, 1) == 1;
  const auto words = cursor.integer<std::uint8_t>("missing", 0, std::uint8_t{kBlockUnitsMax / 64});
  for (int i = 0; i < words; ++i) message.missing.push_back(cursor.integer<std::uint64_t>("missing"));
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
