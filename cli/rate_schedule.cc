#include "rate_schedule.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "base/limits.h"
#include "units.h"

namespace zferry::cli {
namespace {

constexpr int kMinutesOfDay = 24 * 60;
constexpr std::size_t kFileBytesMax = 64 * limits::KiB;
constexpr char kExample[] = "write it like 10M (bytes a second), 80Mbit, or 80M,08:00-18:00=2M";

Error bad(const std::string& part, const char* why) {
  return {Fault::kUsage, fmt::format("--limit: '{}' {}", escaped(part, 60), why), kExample};
}

std::string trimmed(const std::string& text) {
  std::size_t from = text.find_first_not_of(" \t\r");
  if (from == std::string::npos) return "";
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    std::size_t end = std::min(text.find(',', at), text.size());
    if (std::string part = trimmed(text.substr(at, end - at)); !part.empty()) parts.push_back(part);
    at = end + 1;
  }
  return parts;
}

Result<std::uint64_t> rate_of(const std::string& part, const std::string& rate) {
  if (rate == "none") return std::uint64_t{0};
  auto bytes = parse_rate(rate);
  if (!bytes) return bytes.take_error();
  if (*bytes < 1000) return bad(part, "is below 1000 bytes a second");
  return bytes;
}

// "08:00"; 24:00 is midnight. -1: it is none.
int minute_of(const std::string& text) {
  if (text.size() != 5 || text[2] != ':') return -1;
  for (std::size_t at : {0, 1, 3, 4})
    if (text[at] < '0' || text[at] > '9') return -1;
  int hours = (text[0] - '0') * 10 + (text[1] - '0');
  int minutes = (text[3] - '0') * 10 + (text[4] - '0');
  bool valid = minutes < 60 && (hours < 24 || (hours == 24 && minutes == 0));
  return valid ? hours * 60 + minutes : -1;
}

int minute_now() {
  std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return local.tm_hour * 60 + local.tm_min;
}

// A file that is read again when it changes.
class LimitFile {
 public:
  explicit LimitFile(std::string path) : path_(std::move(path)) {}
  Result<std::uint64_t> now() {
    struct stat seen {};
    if (::stat(path_.c_str(), &seen) != 0)
      return Error{Fault::kUsage, "--limit: cannot read " + escaped(path_), "give a file that is there"};
    bool same = read_ && seen.st_mtim.tv_sec == seen_.st_mtim.tv_sec && seen.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec &&
                seen.st_size == seen_.st_size && seen.st_ino == seen_.st_ino;
    if (!same) {
      seen_ = seen;
      read_ = true;
      schedule_ = read();
    }
    if (!schedule_) return schedule_.error();
    return schedule_->at(minute_now());
  }

 private:
  Result<RateSchedule> read() const {
    std::ifstream file(path_);
    std::string text;
    for (std::string line; std::getline(file, line);) {
      text += line.substr(0, line.find('#')) + ",";
      if (text.size() > kFileBytesMax) return bad(path_, "is too long a file");
    }
    if (file.bad() || !file.eof()) return bad(path_, "cannot be read");
    return RateSchedule::parse(text);
  }
  std::string path_;
  struct stat seen_ {};
  bool read_ = false;
  Result<RateSchedule> schedule_{RateSchedule()};
};

}  // namespace

Result<RateSchedule> RateSchedule::parse(const std::string& text) {
  RateSchedule schedule;
  std::vector<std::string> parts = parts_of(text);
  if (parts.empty()) return bad(text, "says no rate");
  bool otherwise = false;
  for (const std::string& part : parts) {
    std::size_t equals = part.find('=');
    if (equals == std::string::npos) {
      if (std::exchange(otherwise, true)) return bad(part, "is a second rate without hours");
      auto rate = rate_of(part, part);
      if (!rate) return rate.take_error();
      schedule.otherwise_ = *rate;
      continue;
    }
    std::string hours = trimmed(part.substr(0, equals));
    std::size_t dash = hours.find('-');
    int from = minute_of(hours.substr(0, dash));
    int to = dash == std::string::npos ? -1 : minute_of(hours.substr(dash + 1));
    if (from < 0 || to < 0 || from % kMinutesOfDay == to % kMinutesOfDay)
      return bad(part, "has no hours like 08:00-18:00");
    auto rate = rate_of(part, trimmed(part.substr(equals + 1)));
    if (!rate) return rate.take_error();
    schedule.hours_.push_back({from % kMinutesOfDay, to, *rate});
  }
  return schedule;
}

std::uint64_t RateSchedule::at(int minute) const {
  for (const Hours& hours : hours_) {
    bool over_midnight = hours.from > hours.to;
    bool within = over_midnight ? minute >= hours.from || minute < hours.to : minute >= hours.from && minute < hours.to;
    if (within) return hours.bytes_per_s;
  }
  return otherwise_;
}

Result<RateSource> rate_source(const std::string& text) {
  if (text.starts_with('@')) {
    auto file = std::make_shared<LimitFile>(text.substr(1));
    auto now = file->now();
    if (!now) return now.take_error();
    return RateSource{*now, [file] { return file->now(); }};
  }
  auto schedule = RateSchedule::parse(text);
  if (!schedule) return schedule.take_error();
  RateSource source{schedule->at(minute_now()), nullptr};
  if (schedule->changes())
    source.again = [schedule = *schedule]() -> Result<std::uint64_t> { return schedule.at(minute_now()); };
  return source;
}

}  // namespace zferry::cli
