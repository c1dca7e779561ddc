#include <cstring>

#include "io/processes.h"

namespace zferry::io {

std::string ExitStatus::text() const {
  if (!by_signal) return "exit code " + std::to_string(number);
  return "signal " + std::to_string(number) + " (" + strsignal(number) + ")";
}

}  // namespace zferry::io
