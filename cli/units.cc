#include "units.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace zferry::cli {
namespace {

struct Number {
  double value;
  std::string unit;
};

Result<Number> split(const std::string& text, const char* what, const char* example) {
  Error error{Fault::kUsage, fmt::format("'{}' is no {}", escaped(text, 40), what),
              fmt::format("write it like {}", example)};
  std::size_t digits = text.find_first_not_of("0123456789.");
  std::string number = text.substr(0, digits);
  double value = 0;
  auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (number.empty() || code != std::errc() || end != number.data() + number.size()) return error;
  return Number{value, digits == std::string::npos ? "" : text.substr(digits)};
}

// The factor of "K", "Mi", …; 0 for what is none.
double factor_of(const std::string& prefix) {
  constexpr std::string_view letters = "KMGT";
  if (prefix.empty()) return 1;
  std::size_t power = letters.find(static_cast<char>(std::toupper(static_cast<unsigned char>(prefix[0]))));
  if (power == std::string_view::npos) return 0;
  if (prefix.size() == 1) return std::pow(1000.0, static_cast<double>(power + 1));
  return prefix.substr(1) == "i" ? std::pow(1024.0, static_cast<double>(power + 1)) : 0;
}

Result<std::uint64_t> scaled(const std::string& text, const Number& number, double factor, const char* what,
                             const char* example) {
  double value = number.value * factor;
  if (factor == 0 || value > 9e18)
    return Error{Fault::kUsage, fmt::format("'{}' is no {}", escaped(text, 40), what),
                 fmt::format("write it like {}", example)};
  return static_cast<std::uint64_t>(value);
}

}  // namespace

Result<Duration> parse_time(const std::string& text) {
  auto number = split(text, "time", "12s, 5m, 8h or 2d");
  if (!number) return number.take_error();
  double unit_seconds = 0;
  if (number->unit.empty() || number->unit == "s") unit_seconds = 1;
  if (number->unit == "ms") unit_seconds = 1e-3;
  if (number->unit == "m" || number->unit == "min") unit_seconds = 60;
  if (number->unit == "h") unit_seconds = 3600;
  if (number->unit == "d") unit_seconds = 86400;
  double total = number->value * unit_seconds;
  if (unit_seconds == 0 || total > 1e8)
    return Error{Fault::kUsage, fmt::format("'{}' is no time", escaped(text, 40)), "write it like 12s, 5m, 8h or 2d"};
  return Duration(static_cast<std::int64_t>(total * 1e9));
}

Result<std::uint64_t> parse_bytes(const std::string& text) {
  const char* example = "100M, 64Mi or 4G";
  auto number = split(text, "size", example);
  if (!number) return number.take_error();
  std::string unit = number->unit;
  if (!unit.empty() && unit.back() == 'B') unit.pop_back();
  return scaled(text, *number, factor_of(unit), "size", example);
}

Result<std::uint64_t> parse_rate(const std::string& text) {
  const char* example = "10M (bytes a second) or 80Mbit";
  auto number = split(text, "rate", example);
  if (!number) return number.take_error();
  std::string unit = number->unit;
  if (unit.ends_with("/s")) unit.resize(unit.size() - 2);
  if (unit.ends_with("bit"))
    return scaled(text, *number, factor_of(unit.substr(0, unit.size() - 3)) / 8, "rate", example);
  if (!unit.empty() && unit.back() == 'B') unit.pop_back();
  return scaled(text, *number, factor_of(unit), "rate", example);
}

std::string bytes_text(double bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  int digits = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", bytes, digits, units[unit]);
}

std::string time_text(Duration duration) {
  if (seconds(duration) < 9.95) return fmt::format("{:.1f} s", seconds(duration));
  auto total = static_cast<long long>(std::llround(seconds(duration)));
  if (total < 60) return fmt::format("{} s", total);
  if (total < 3600) return fmt::format("{}m{:02}s", total / 60, total % 60);
  return fmt::format("{}h{:02}m", total / 3600, total % 3600 / 60);
}

}  // namespace zferry::cli
