// Offer: u16 version_min, u16 version_max, u8 role, u8 joins, u32 features, u8 count of ciphers, u8 each.
#include "wire/codec.h"
#include "wire/enumerators.h"
#include "wire/messages.h"

namespace zferry::wire {

Message encode(const Offer& message) {
  ZF_ASSERT(!message.ciphers.empty() && message.ciphers.size() <= kOfferCiphersMax);
  return Builder()
      .integer(message.version_min)
      .integer(message.version_max)
      .enumerator(message.role)
      .integer(static_cast<std::uint8_t>(message.joins))
      .integer(message.features)
      .integer(static_cast<std::uint8_t>(message.ciphers.size()))
      .bytes(std::as_bytes(std::span(message.ciphers)))
      .take();
}

Result<Offer> decode_offer(ConstBytes bytes) {
  Cursor cursor("OFFER", bytes);
  Offer message;
  message.version_min = cursor.integer<std::uint16_t>("version_min", 1, 65535);
  message.version_max = cursor.integer<std::uint16_t>("version_max", message.version_min, 65535);
  message.role = cursor.enumerator("role", kRoles);
  message.joins = cursor.integer<std::uint8_t>("joins", 0, 1) == 1;
  message.features = cursor.integer<std::uint32_t>("features");
  const auto count = cursor.integer<std::uint8_t>("ciphers", 1, std::uint8_t{kOfferCiphersMax});
  for (int i = 0; i < count; ++i) message.ciphers.push_back(cursor.integer<std::uint8_t>("ciphers"));
  if (Status status = cursor.finish(); !status) return status.take_error();
  return message;
}

}  // namespace zferry::wire
