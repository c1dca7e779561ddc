// Ack: u64 received, u64 delivered, u64 credit, u64 durable, u32 life, u8 keep, u64 credit_bytes, u8 count of words,
// u64 each.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Ack& message) {
  ZF_ASSERT(message.beyond.size() <= limits::kAckWordsMax);
  return Builder()
      .integer(message.received)
      .integer(message.delivered)
      .integer(message.credit)
      .integer(message.durable)
      .integer(message.life)
      .enumerator(message.keep)
      .integer(message.credit_bytes)
      .integer(static_cast<std::uint8_t>(message.beyond.size()))
      .bytes(std::as_bytes(std::span(message.beyond)))
      .take();
}

Result<Ack> decode_ack(ConstBytes bytes) {
  Cursor cursor("ACK", bytes);
  Ack message;
  message.received = cursor.integer<std::uint64_t>("received", 0, limits::kBlocksMax);
  message.delivered = cursor.integer<std::uint64_t>("delivered", 0, message.received);  // nothing leaves before it came
  message.credit = cursor.integer<std::uint64_t>("credit", 0, limits::kBlocksMax);
  message.durable = cursor.integer<std::uint64_t>("durable", 0, message.received);
  message.life = cursor.integer<std::uint32_t>("life");
  message.keep = cursor.enumerator("keep", kKeeps);
  message.credit_bytes = cursor.integer<std::uint64_t>("credit_bytes", 0, kNoEnd);
  const auto words = cursor.integer<std::uint8_t>("beyond", 0, std::uint8_t{limits::kAckWordsMax});
  for (int i = 0; i < words; ++i) message.beyond.push_back(cursor.integer<std::uint64_t>("beyond"));
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
