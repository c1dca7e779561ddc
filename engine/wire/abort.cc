// Abort: u8 fault, text (u16 length, bytes).
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Abort& message) {
  ZF_ASSERT(message.fault != Fault::kNone);
  return Builder().enumerator(message.fault).text(message.text, limits::kErrorTextBytesMax).take();
}

Result<Abort> decode_abort(ConstBytes bytes) {
  Cursor cursor("ABORT", bytes);
  Abort message;
  const auto fault = fault_from_wire(cursor.integer<std::uint8_t>("fault"));
  cursor.check("fault", fault && *fault != Fault::kNone);
  message.text = cursor.text("text", limits::kErrorTextBytesMax);
  if (Status status = cursor.finish(); !status) return status.take_error();
  message.fault = *fault;
  return message;
}

}  // namespace zferry::wire
