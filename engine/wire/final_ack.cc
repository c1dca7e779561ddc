// FinalAck: u8 completion, u64 stream_bytes.
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const FinalAck& message) {
  return Builder().enumerator(message.completion).integer(message.stream_bytes).take();
}

Result<FinalAck> decode_final_ack(ConstBytes bytes) {
  Cursor cursor("FINAL-ACK", bytes);
  FinalAck message;
  message.completion = cursor.enumerator("completion", kCompletions);
  message.stream_bytes = cursor.integer<std::uint64_t>("stream_bytes");
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
