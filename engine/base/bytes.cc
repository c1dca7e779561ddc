#include "base/bytes.h"

namespace zferry {

namespace {
constexpr char kHexDigits[] = "0123456789abcdef";
}

std::string to_hex(ConstBytes bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::byte b : bytes) {
    text += kHexDigits[std::to_integer<unsigned>(b) >> 4];
    text += kHexDigits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

std::string escaped(std::string_view text, std::size_t bytes_max) {
  std::string safe;
  for (char c : text.substr(0, bytes_max)) {
    auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7f && c != '\\') {
      safe += c;
    } else {
      safe += "\\x";
      safe += kHexDigits[u >> 4];
      safe += kHexDigits[u & 15];
    }
  }
  if (text.size() > bytes_max) safe += "...";
  return safe;
}

}  // namespace zferry
