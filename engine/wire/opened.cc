// Opened: u8 how, 32 bytes leaf_key, u64 credit, u8 lanes, u32 hold_s, u64 next_number, u64 offset, u32 life, u64
// credit_bytes, 32 bytes chunk_key, u8 count of marks, each u64 stream_bytes, 32 bytes digest.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Opened& message) {
  ZF_ASSERT(message.marks.size() <= kMarksMax);
  Builder builder;
  builder.enumerator(message.how)
      .bytes(message.leaf_key)
      .integer(message.credit)
      .integer(message.lanes)
      .integer(message.hold_s)
      .integer(message.next_number)
      .integer(message.offset)
      .integer(message.life)
      .integer(message.credit_bytes)
      .bytes(message.chunk_key)
      .integer(static_cast<std::uint8_t>(message.marks.size()));
  for (const Mark& mark : message.marks) builder.integer(mark.stream_bytes).bytes(mark.digest);
  return builder.take();
}

Result<Opened> decode_opened(ConstBytes bytes) {
  Cursor cursor("OPENED", bytes);
  Opened message;
  message.how = cursor.enumerator("how", kOpenedHows);
  message.leaf_key = cursor.array<32>("leaf_key");
  message.credit = cursor.integer<std::uint64_t>("credit", 0, limits::kBlocksMax);
  message.lanes = cursor.integer<std::uint8_t>("lanes", 1, limits::kLanesMax);
  message.hold_s = cursor.integer<std::uint32_t>("hold_s");
  message.next_number = cursor.integer<std::uint64_t>("next_number", 0, limits::kBlocksMax);
  message.offset = cursor.integer<std::uint64_t>("offset", 0, kOffsetMax);
  message.life = cursor.integer<std::uint32_t>("life");
  message.credit_bytes = cursor.integer<std::uint64_t>("credit_bytes", 0, kNoEnd);
  message.chunk_key = cursor.array<32>("chunk_key");
  const auto count = cursor.integer<std::uint8_t>("marks", 0, std::uint8_t{kMarksMax});
  std::uint64_t above = 0;
  for (int i = 0; i < count; ++i) {
    Mark mark;
    mark.stream_bytes = cursor.integer<std::uint64_t>("marks", above + 1, kOffsetMax);
    mark.digest = cursor.array<32>("marks");
    above = mark.stream_bytes;
    message.marks.push_back(mark);
  }
  cursor.check("marks", above == message.offset);
  cursor.check("how", message.how == OpenedHow::kContinue || (message.offset == 0 && message.next_number == 0));
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
