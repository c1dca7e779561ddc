// Numbers with units, as people type and read them.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace zferry::cli {

// "12s", "5m", "8h", "2d", "250ms", "90" (seconds), "0". Errors: kUsage.
Result<Duration> parse_time(const std::string& text);
// "100M" (10^6), "64Mi" (2^20), "1500": bytes; letters K M G T. Errors: kUsage.
Result<std::uint64_t> parse_bytes(const std::string& text);
// Bytes per second: as parse_bytes, with an optional "/s"; "200Mbit" and "200Mbit/s" are bits. Errors: kUsage.
Result<std::uint64_t> parse_rate(const std::string& text);

// "3.20 GB", "118 MB/s" with three digits; "1h02m", "3m20s", "12 s", "0.4 s".
std::string bytes_text(double bytes);
std::string time_text(Duration duration);

}  // namespace zferry::cli
