#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "units.h"

namespace zferry::cli {
namespace {

const char* bottleneck_name(Bottleneck bottleneck) {
  switch (bottleneck) {
    case Bottleneck::kSource: return "source";
    case Bottleneck::kCpu: return "cpu";
    case Bottleneck::kLink: return "link";
    case Bottleneck::kTarget: return "target";
    default: return "unknown";
  }
}

const char* completion_name(wire::Completion completion) {
  switch (completion) {
    case wire::Completion::kApplied: return "applied";
    case wire::Completion::kDelivered: return "delivered";
    default: return "already-received";
  }
}

std::string outcome_of(const session::Ending& ending) {
  return ending.ok() ? completion_name(*ending.completion) : std::string(facts(ending.error.fault).name);
}

nlohmann::json failure(const Error& error) {
  const FaultFacts& known = facts(error.fault);
  return {{"type", "end"},
          {"ok", false},
          {"outcome", known.name},
          {"exit_code", known.exit_code},
          {"retryable", known.retryable},
          {"error", error.what},
          {"next", error.next},
          {"stream_bytes", 0},
          {"wire_bytes", 0},
          {"elapsed_s", 0.0}};
}

}  // namespace

Console::Console(bool json, bool quiet)
    : json_(json), quiet_(quiet), terminal_(!json && !quiet && isatty(STDERR_FILENO) == 1) {}

void Console::line(const std::string& text) {
  clear_progress();
  std::string whole = text + "\n";
  std::fwrite(whole.data(), 1, whole.size(), stderr);  // one write: lines of two processes do not mix
  std::fflush(stderr);
}

void Console::clear_progress() {
  if (!std::exchange(progress_shown_, false)) return;
  std::fputs("\r\x1b[K", stderr);
}

void Console::log(const char* level, const std::string& text) {
  if (json_) return line(nlohmann::json{{"type", "log"}, {"level", level}, {"message", text}}.dump());
  line(fmt::format("zferry: {}{}", level == std::string("warning") ? "warning: " : "", text));
}

void Console::listening(const std::string& address, std::uint16_t port) {
  std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  std::string whole = fmt::format("{}:{}", host, port);
  if (json_) return line(nlohmann::json{{"type", "listening"}, {"address", whole}, {"port", port}}.dump());
  if (!quiet_) line("zferry: listening on " + whole);
}

void Console::info(const std::string& text) {
  if (quiet_ || notices_left_ == 0) return;
  --notices_left_;
  log("info", notices_left_ == 0 ? text + " (further notices are left out)" : text);
}

void Console::warning(const std::string& text) { log("warning", text); }

std::string Console::progress_text(const Progress& progress, Duration elapsed) {
  if (progress.stage == "waiting") return fmt::format("waiting for the other end, {}", time_text(elapsed));
  auto logical = static_cast<double>(progress.stream_bytes);
  auto wire = static_cast<double>(progress.wire_bytes);
  std::string text = fmt::format("{}  wire {}", bytes_text(logical), bytes_text(wire));
  if (wire > 0 && logical > 0) text += fmt::format(" ({:.2f}x)", logical / wire);
  text += fmt::format("  {}/s", bytes_text(rate_));
  if (progress.size_hint_bytes > progress.stream_bytes && rate_ > 1) {
    auto rest = static_cast<double>(progress.size_hint_bytes - progress.stream_bytes);
    text += fmt::format("  {:.0f} %, {} left", 100 * logical / static_cast<double>(progress.size_hint_bytes),
                        time_text(Duration(static_cast<std::int64_t>(std::min(rest / rate_, 1e8) * 1e9))));
  }
  if (progress.bottleneck != Bottleneck::kUnknown)
    text += fmt::format("  limit: {}", bottleneck_name(progress.bottleneck));
  return progress.stage == "finishing" ? text + "  finishing" : text;
}

void Console::progress(const Progress& progress, Duration elapsed) {
  double span = seconds(elapsed - last_elapsed_);
  if (span > 0) {
    double now = static_cast<double>(progress.stream_bytes - std::min(last_bytes_, progress.stream_bytes)) / span;
    rate_ = last_elapsed_.count() == 0 ? now : 0.7 * rate_ + 0.3 * now;
  }
  last_bytes_ = progress.stream_bytes;
  last_elapsed_ = elapsed;
  if (json_) {
    nlohmann::json object{{"type", "progress"},
                          {"stage", progress.stage},
                          {"stream_bytes", progress.stream_bytes},
                          {"acked_bytes", progress.acked_bytes},
                          {"wire_bytes", progress.wire_bytes},
                          {"elapsed_s", seconds(elapsed)},
                          {"rate_bytes_per_s", rate_},
                          {"bottleneck", bottleneck_name(progress.bottleneck)}};
    if (progress.size_hint_bytes > 0) object["size_hint_bytes"] = progress.size_hint_bytes;
    return line(object.dump());
  }
  if (!terminal_) return;
  std::fprintf(stderr, "\r\x1b[K%s", progress_text(progress, elapsed).c_str());
  std::fflush(stderr);
  progress_shown_ = true;
}

int Console::end(const Error& error) {
  if (json_) {
    line(failure(error).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    line("zferry: error: " + error.what);
    if (!error.next.empty()) line("zferry: next: " + error.next);
  }
  return facts(error.fault).exit_code;
}

int Console::end(const std::string& role, const Report& report, Duration elapsed) {
  const session::Ending& ending = report.ending;
  int exit_code = facts(ending.error.fault).exit_code;
  if (json_) {
    nlohmann::json object = ending.ok()
                                ? nlohmann::json{{"type", "end"}, {"ok", true}, {"exit_code", 0}, {"retryable", false}}
                                : failure(ending.error);
    object.update({{"role", role},
                   {"outcome", outcome_of(ending)},
                   {"stream_bytes", report.progress.stream_bytes},
                   {"wire_bytes", report.progress.wire_bytes},
                   {"elapsed_s", seconds(elapsed)},
                   {"stream_name", report.stream_name},
                   {"producer", report.producer.empty() ? "unknown" : report.producer},
                   {"digest", report.digest},
                   {"peer", report.peer},
                   {"cipher", report.cipher},
                   {"records", report.records},
                   {"checksums_verified", report.checksums_verified}});
    line(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return exit_code;
  }
  auto logical = static_cast<double>(report.progress.stream_bytes);
  if (!ending.ok()) {
    line(fmt::format("zferry: {} failed after {} of stream: {} [{}{}]", role, bytes_text(logical), ending.error.what,
                     outcome_of(ending), facts(ending.error.fault).retryable ? ", may be tried again" : ""));
    if (!ending.error.next.empty()) line("zferry: next: " + ending.error.next);
    return exit_code;
  }
  if (quiet_) return exit_code;
  auto wire = static_cast<double>(report.progress.wire_bytes);
  double span = std::max(seconds(elapsed), 1e-3);
  std::string name = report.stream_name.empty() ? "stream" : report.stream_name;
  line(fmt::format("zferry: {} {}: {} in {}, {}/s, wire {} ({:.2f}x){}", name, outcome_of(ending), bytes_text(logical),
                   time_text(elapsed), bytes_text(logical / span), bytes_text(wire), wire > 0 ? logical / wire : 1.0,
                   role == "send" ? ", producer: " + report.producer : ""));
  return exit_code;
}

}  // namespace zferry::cli
