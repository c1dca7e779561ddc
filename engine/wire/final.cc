// Final: u64 stream_bytes, u64 blocks, 32 bytes digest, u8 producer.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Final& message) {
  return Builder()
      .integer(message.stream_bytes)
      .integer(message.blocks)
      .bytes(message.digest)
      .enumerator(message.producer)
      .take();
}

Result<Final> decode_final(ConstBytes bytes) {
  Cursor cursor("FINAL", bytes);
  Final message;
  message.stream_bytes = cursor.integer<std::uint64_t>("stream_bytes");
  message.blocks = cursor.integer<std::uint64_t>("blocks", 0, limits::kBlocksMax);
  message.digest = cursor.array<32>("digest");
  message.producer = cursor.enumerator("producer", kProducerExits);
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
