// Words of commands that are shown to be typed again.
#pragma once

#include <string>

namespace zferry::cli {

// As a shell reads it. What a terminal would not show as it is, or would obey, is spelt out: $'\033' (bash, zsh, ksh).
std::string shell_word(const std::string& word);

}  // namespace zferry::cli
