// Holds docs/EXIT-CODES.md to the table of faults.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/fault.h"

namespace zferry {
namespace {

std::string row_of(const FaultFacts& known) {
  std::ostringstream row;
  row << "| " << known.exit_code << " | " << known.name << " | " << (known.retryable ? "yes" : "no") << " | "
      << known.meaning;
  return row.str();
}

TEST(ExitCodes, TheDocumentHasEveryFaultAndNoOther) {
  std::ifstream file(std::string(ZFERRY_TEST_DATA) + "/../docs/EXIT-CODES.md");
  ASSERT_TRUE(file);
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| ") && !line.starts_with("| code")) rows.push_back(line);
  std::size_t faults = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    auto fault = fault_from_wire(static_cast<std::uint8_t>(byte));
    if (!fault) continue;
    ASSERT_LT(faults, rows.size());
    EXPECT_TRUE(rows[faults].starts_with(row_of(facts(*fault))))
        << rows[faults] << "\nexpected: " << row_of(facts(*fault));
    ++faults;
  }
  EXPECT_EQ(faults, rows.size());
  EXPECT_GE(faults, 21U);
}

}  // namespace
}  // namespace zferry
