// The parts of Builder and Cursor that are no templates.
#include "wire/codec.h"

namespace zferry::wire {

Builder& Builder::bytes(ConstBytes from) {
  const std::size_t before = message_.size();
  message_.resize(before + from.size());
  if (!from.empty()) std::memcpy(message_.data() + before, from.data(), from.size());
  return *this;
}

Builder& Builder::text(std::string_view text, std::size_t bytes_max) {
  ZF_ASSERT(bytes_max <= std::numeric_limits<std::uint16_t>::max());
  text = text.substr(0, bytes_max);
  return integer(static_cast<std::uint16_t>(text.size())).bytes(as_bytes(text));
}

bool Cursor::check(const char* field, bool holds) {
  if (!holds && bad_field_ == nullptr) bad_field_ = field;
  return bad_field_ == nullptr;
}

bool Cursor::take(const char* field, Bytes out) {
  if (!check(field, out.size() <= rest_.size())) return false;
  std::memcpy(out.data(), rest_.data(), out.size());
  rest_ = rest_.subspan(out.size());
  return true;
}

std::string Cursor::text(const char* field, std::size_t bytes_max) {
  ZF_ASSERT(bytes_max <= std::numeric_limits<std::uint16_t>::max());
  const auto bytes = integer<std::uint16_t>(field, 0, static_cast<std::uint16_t>(bytes_max));
  if (!check(field, bytes <= rest_.size())) return {};
  std::string value(as_text(rest_.first(bytes)));
  rest_ = rest_.subspan(bytes);
  return value;
}

Status Cursor::finish() {
  check("length", rest_.empty());
  if (bad_field_ == nullptr) return {};
  return Error{Fault::kProtocol, std::string(message_) + ": bad " + bad_field_, {}};
}

}  // namespace zferry::wire
