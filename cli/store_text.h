// How the commands on a store print.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace zferry::cli {

std::string human(std::uint64_t bytes);
// "1 session", "2 sessions"
std::string counted(std::uint64_t count, const std::string& noun);
// Outside bytes that are no UTF-8 do not stop it.
std::string json_line(const nlohmann::json& object);

}  // namespace zferry::cli
