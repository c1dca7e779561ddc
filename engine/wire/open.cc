// Open: 32 bytes identity, u64 incarnation, u8 kind, u8 earlier_run, u8 nameable, u8 lanes, u32
// give_up_s, u32 block_bytes_max, u64 size_hint_bytes, name (u16 length, bytes).
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Open& message) {
  return Builder()
      .bytes(message.identity)
      .integer(message.incarnation)
      .enumerator(message.kind)
      .enumerator(message.earlier_run)
      .integer(static_cast<std::uint8_t>(message.nameable))
      .integer(message.lanes)
      .integer(message.give_up_s)
      .integer(message.block_bytes_max)
      .integer(message.size_hint_bytes)
      .text(message.name, limits::kNameBytesMax)
      .take();
}

Result<Open> decode_open(ConstBytes bytes) {
  Cursor cursor("OPEN", bytes);
  Open message;
  message.identity = cursor.array<32>("identity");
  message.incarnation = cursor.integer<std::uint64_t>("incarnation");
  message.kind = cursor.enumerator("kind", kStreamKinds);
  message.earlier_run = cursor.enumerator("earlier_run", kEarlierRuns);
  message.nameable = cursor.integer<std::uint8_t>("nameable", 0, 1) == 1;
  message.lanes = cursor.integer<std::uint8_t>("lanes", 0, limits::kLanesMax);
  message.give_up_s = cursor.integer<std::uint32_t>("give_up_s");
  message.block_bytes_max = cursor.integer<std::uint32_t>("block_bytes_max", 1, limits::kBlockBytesMax);
  message.size_hint_bytes = cursor.integer<std::uint64_t>("size_hint_bytes");
  message.name = cursor.text("name", limits::kNameBytesMax);
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
