#include "store_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "units.h"

namespace zferry::cli {

std::string human(std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

std::string counted(std::uint64_t count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string json_line(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace zferry::cli
