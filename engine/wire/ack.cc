// Ack: u64 received, u64 delivered, u64 credit.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Ack& message) {
  return Builder().integer(message.received).integer(message.delivered).integer(message.credit).take();
}

Result<Ack> decode_ack(ConstBytes bytes) {
  Cursor cursor("ACK", bytes);
  Ack message;
  message.received = cursor.integer<std::uint64_t>("received", 0, limits::kBlocksMax);
  message.delivered = cursor.integer<std::uint64_t>("delivered", 0, message.received);  // nothing leaves before it came
  message.credit = cursor.integer<std::uint64_t>("credit", 0, limits::kBlocksMax);
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
