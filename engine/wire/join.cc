// Join: 32 bytes session, u64 incarnation, 32 bytes proof.
#include "wire/codec.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Join& message) {
  return Builder().bytes(message.session).integer(message.incarnation).bytes(message.proof).take();
}

Result<Join> decode_join(ConstBytes bytes) {
  Cursor cursor("JOIN", bytes);
  Join message;
  message.session = cursor.array<32>("session");
  message.incarnation = cursor.integer<std::uint64_t>("incarnation");
  message.proof = cursor.array<32>("proof");
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
