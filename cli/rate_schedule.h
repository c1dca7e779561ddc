// --limit: a rate, rates by time of day, or a file that holds them and may change while a transfer runs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace zferry::cli {

// "10M", "none", or with hours: "80M,08:00-18:00=2M,22:00-06:00=none": the first that fits the local time counts, else
// the rate without hours, else none.
class RateSchedule {
 public:
  // Errors: kUsage, with what is wrong and an example.
  static Result<RateSchedule> parse(const std::string& text);
  // Bytes a second; 0: none. `minute`: of the day, 0..1439.
  std::uint64_t at(int minute) const;
  bool changes() const { return !hours_.empty(); }

 private:
  struct Hours {
    int from;  // minutes of the day; from > to goes over midnight
    int to;
    std::uint64_t bytes_per_s;
  };
  std::vector<Hours> hours_;
  std::uint64_t otherwise_ = 0;
};

// What --limit says: now, and where that may change, when asked again. "@FILE": the file's text (lines count as commas,
// # begins a comment), read again when it has changed; what cannot be read or understood is an error each time, and the
// caller stays with what it had.
// Errors: kUsage, of `text` or of what the file holds now.
struct RateSource {
  std::uint64_t bytes_per_s = 0;
  std::function<Result<std::uint64_t>()> again;  // empty where it never changes
};
Result<RateSource> rate_source(const std::string& text);

}  // namespace zferry::cli
