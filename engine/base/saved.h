// What an object saves of itself so that another process can go on with it: little-endian integers, fixed arrays, bytes
// with their length before them, a version first. A SavedReader never reads past its end, nor gives more than the
// caller's bound: after the first field that does not fit or is out of bounds every further one reads as zero or empty,
// and finish() tells which one it was. Threading: one thread at a time each.
#pragma once

#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace zferry {

class SavedWriter {
 public:
  explicit SavedWriter(std::uint32_t version) { integer(version); }
  template <class T>
  SavedWriter& integer(T value) {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>);
    return array(std::as_bytes(std::span(&value, 1)));
  }
  template <class E>
  SavedWriter& enumerator(E value) {
    return integer(static_cast<std::uint8_t>(value));
  }
  SavedWriter& flag(bool value) { return integer(std::uint8_t{value}); }
  // Of a length that the reader knows.
  SavedWriter& array(ConstBytes bytes);
  // u32 length, then the bytes. REQUIRES: shorter than 4 GiB.
  SavedWriter& bytes(ConstBytes bytes);
  SavedWriter& text(std::string_view text) { return bytes(as_bytes(text)); }
  ConstBytes so_far() const { return saved_; }
  std::vector<std::byte> take() { return std::move(saved_); }

 private:
  std::vector<std::byte> saved_;
};

class SavedReader {
 public:
  // `what` names the object in errors: "a chain of leaves". Views that are given lie in `saved`.
  SavedReader(const char* what, std::uint32_t version, ConstBytes saved) : what_(what), rest_(saved) {
    check("version", integer<std::uint32_t>("version") == version);
  }

  // An integer within [least, most].
  template <class T>
  T integer(const char* field, T least, T most) {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>);
    T value{};
    const ConstBytes from = array(field, sizeof value);
    if (from.empty()) return T{};
    value = load<T>(from);
    return check(field, least <= value && value <= most) ? value : T{};
  }
  template <class T>
  T integer(const char* field) {
    return integer<T>(field, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
  }
  // One of the enumerators from 0 to `last`, which all are there; the first of them after a failure.
  template <class E>
  E enumerator(const char* field, E last) {
    return static_cast<E>(integer<std::uint8_t>(field, 0, static_cast<std::uint8_t>(last)));
  }
  bool flag(const char* field) { return integer<std::uint8_t>(field, 0, 1) != 0; }
  // So many bytes; after a failure none.
  ConstBytes array(const char* field, std::size_t bytes);
  template <std::size_t N>
  std::array<std::byte, N> array(const char* field) {
    std::array<std::byte, N> value{};
    if (const ConstBytes from = array(field, N); !from.empty()) std::memcpy(value.data(), from.data(), N);
    return value;
  }
  // u32 length, then the bytes.
  ConstBytes bytes(const char* field, std::size_t bytes_max);
  std::string text(const char* field, std::size_t bytes_max) { return std::string(as_text(bytes(field, bytes_max))); }
  // What the fields must also satisfy; false where this or anything before failed.
  bool check(const char* field, bool holds);
  bool ok() const { return bad_field_ == nullptr; }
  // Nothing is left over, and nothing failed. Errors: kStoreFailed, naming the object and the field.
  Status finish();

 private:
  const char* what_;
  ConstBytes rest_;
  const char* bad_field_ = nullptr;
};

}  // namespace zferry
