// Opened: u8 how, 32 bytes leaf_key, u64 credit.
#include "base/limits.h"
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Opened& message) {
  return Builder().enumerator(message.how).bytes(message.leaf_key).integer(message.credit).take();
}

Result<Opened> decode_opened(ConstBytes bytes) {
  Cursor cursor("OPENED", bytes);
  Opened message;
  message.how = cursor.enumerator("how", kOpenedHows);
  message.leaf_key = cursor.array<32>("leaf_key");
  message.credit = cursor.integer<std::uint64_t>("credit", 0, limits::kBlocksMax);
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
