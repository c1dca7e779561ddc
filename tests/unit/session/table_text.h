// Compares a table's text with its golden file, line by line.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace zferry::session {

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Lines that only one of the two has.
inline std::string difference(const std::string& was, const std::string& is) {
  auto lines_without = [](const std::string& of, const std::string& without, char sign) {
    std::string out;
    std::istringstream in(of);
    for (std::string line; std::getline(in, line);)
      if (("\n" + without).find("\n" + line + "\n") == std::string::npos) out += sign + (" " + line) + "\n";
    return out;
  };
  return lines_without(was, is, '-') + lines_without(is, was, '+');
}

inline void expect_golden(const std::string& name, const std::string& text) {
  std::string path = std::string(ZFERRY_TEST_DATA) + "/golden/session/" + name;
  if (std::getenv("ZFERRY_WRITE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::string golden = read_text(path);
  EXPECT_TRUE(golden == text) << "the table is another than " << path << ":\n"
                              << difference(golden, text)
                              << "if that is meant, run this test with ZFERRY_WRITE_GOLDEN=1 and review the file";
  EXPECT_GT(golden.size(), 1000u);
}

}  // namespace zferry::session
