// Choice: u8 refusal, u16 version, u8 role, u8 cipher, u32 features.
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Choice& message) {
  return Builder()
      .enumerator(message.refusal)
      .integer(message.version)
      .enumerator(message.role)
      .integer(message.cipher)
      .integer(message.features)
      .take();
}

Result<Choice> decode_choice(ConstBytes bytes) {
  Cursor cursor("CHOICE", bytes);
  Choice message;
  message.refusal = cursor.enumerator("refusal", kRefusals);
  message.version = cursor.integer<std::uint16_t>("version", 1, 65535);
  message.role = cursor.enumerator("role", kRoles);
  message.cipher = cursor.integer<std::uint8_t>("cipher", 1, 255);  // whether it was offered, the session checks
  message.features = cursor.integer<std::uint32_t>("features");
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
