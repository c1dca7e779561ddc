#include "shell_word.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace zferry::cli {

std::string shell_word(const std::string& word) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,^";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  bool shown = std::all_of(word.begin(), word.end(), [](char c) { return c >= ' ' && c <= '~'; });
  std::string out = shown ? "'" : "$'";
  for (char c : word) {
    if (shown) {
      out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    } else if (c >= ' ' && c <= '~') {
      out += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
    } else {
      out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
    }
  }
  return out + "'";
}

}  // namespace zferry::cli
