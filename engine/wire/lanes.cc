// Lanes: u32 serial, u8 lanes, u8 leaves.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Lanes& message) {
  return Builder()
      .integer(message.serial)
      .integer(message.lanes)
      .integer(static_cast<std::uint8_t>(message.leaves))
      .take();
}

Result<Lanes> decode_lanes(ConstBytes bytes) {
  Cursor cursor("LANES", bytes);
  Lanes message;
  message.serial = cursor.integer<std::uint32_t>("serial");
  message.lanes = cursor.integer<std::uint8_t>("lanes", 1, limits::kLanesMax);
  message.leaves = cursor.integer<std::uint8_t>("leaves", 0, 1) == 1;
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
