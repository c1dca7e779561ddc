#include "base/result.h"

#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace zferry {

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "zferry: bug: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

Error errno_error(Fault fault, const std::string& what, int error_number) {
  return {fault, what + ": " + std::generic_category().message(error_number), {}};
}

}  // namespace zferry
