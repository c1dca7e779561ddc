// Building and taking apart the bytes of a message: little-endian integers, fixed arrays, length-prefixed text. A
// Cursor never reads past its end: after the first field that does not fit or is out of bounds every further one reads
// as zero, and finish() tells which one it was. Threading: one thread at a time each.
#pragma once

#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry::wire {

class Builder {
 public:
  template <class T>
  Builder& integer(T value) {
    return bytes(std::as_bytes(std::span(&value, 1)));
  }
  template <class E>
  Builder& enumerator(E value) {
    return integer(static_cast<std::uint8_t>(value));
  }
  Builder& bytes(ConstBytes from);
  // u16 length, then the bytes; cut at `bytes_max`, for texts are for people and a long one must not cost the message.
  Builder& text(std::string_view text, std::size_t bytes_max);
  std::vector<std::byte> take() { return std::move(message_); }

 private:
  std::vector<std::byte> message_;
};

class Cursor {
 public:
  // `message` names it in errors.
  Cursor(const char* message, ConstBytes bytes) : message_(message), rest_(bytes) {}

  // An integer within [least, most].
  template <class T>
  T integer(const char* field, T least, T most) {
    T value{};
    if (!take(field, std::as_writable_bytes(std::span(&value, 1)))) return T{};
    return check(field, least <= value && value <= most) ? value : T{};
  }
  template <class T>
  T integer(const char* field) {
    return integer<T>(field, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
  }
  // One byte that is one of the listed enumerators; the first of them after a failure.
  template <class E, std::size_t N>
  E enumerator(const char* field, const std::array<E, N>& known) {
    const auto byte = integer<std::uint8_t>(field);
    for (E candidate : known)
      if (static_cast<std::uint8_t>(candidate) == byte) return candidate;
    check(field, false);
    return known[0];
  }
  template <std::size_t N>
  std::array<std::byte, N> array(const char* field) {
    std::array<std::byte, N> value{};
    take(field, value);
    return value;
  }
  // u16 length, then the bytes. REQUIRES: bytes_max <= 65535.
  std::string text(const char* field, std::size_t bytes_max);
  // What the field must also satisfy; false where this or anything before failed.
  bool check(const char* field, bool holds);
  // Nothing is left over, and nothing failed.
  Status finish();

 private:
  bool take(const char* field, Bytes out);

  const char* message_;
  ConstBytes rest_;
  const char* bad_field_ = nullptr;
};

}  // namespace zferry::wire
