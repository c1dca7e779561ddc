#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

// What helps against a fault whose finder had no better advice. They hold after FINAL too: that the stream is not
// complete is said only where its last bytes cannot have been given out. Earlier snapshots of it may well be committed.
const char* usual_next(Fault fault) {
  switch (fault) {
    case Fault::kUsage: return "zferry --help";
    case Fault::kConfig: return "the README's chapter on keys shows which file holds what; zferry key --help";
    case Fault::kUnreachable: return "start the listening end first, then run the same command again; nothing was sent";
    case Fault::kLinkLost: return "run the same command again; this run did not complete the stream at the target";
    case Fault::kInterrupted: return "run the same command again";
    case Fault::kBusy: return "wait for the target's other session to end, then run the same command again";
    case Fault::kSessionGone:
      return "run the same command again; where the target's ZFS kept a token (zfs get receive_resume_token), send "
             "that: zferry send ... -- zfs send -t TOKEN";
    case Fault::kFenced: return "nothing: the newer run carries on; see to it that only one runs at a time";
    case Fault::kOutcomeUnknown:
      return "run the same commands again on both ends: a stream that arrived is recognised, not delivered twice";
    case Fault::kNotAllowed:
      return "on the listening end, add the other end's public key (zferry key pub) to its allow file";
    case Fault::kProtocol: return "compare zferry --version on both ends, and whether the port is zferry's";
    case Fault::kProducerFailed:
      return "see the producer's own messages on the source; the stream was not completed at the target";
    case Fault::kStreamDamaged:
      return "send again from the snapshot, and check its pool (zpool status); the stream was not completed at the "
             "target";
    case Fault::kStreamIncomplete:
      return "see what zfs send said, and send again; the stream was not completed at the target";
    case Fault::kInputFailed:
      return "see why the input cannot be read, and send again; the stream was not completed at the target";
    case Fault::kConsumerFailed:
      return "see the consumer's own messages on the target (zfs list -t snapshot tells what it holds), then send "
             "again";
    case Fault::kOutputFailed: return "see to the output's space and permissions on the target, then send again";
    case Fault::kCannotRun: return "check the command's name and PATH on the end that runs it; nothing was delivered";
    case Fault::kStateFailed:
      return "see to the state folder's space and permissions on the end that names it, or choose another with --state "
             "FOLDER";
    case Fault::kStoreFull:
      return "give the target's store more capacity (recv --store FOLDER:CAPACITY) or its disk more room, then run the "
             "same commands again";
    case Fault::kStoreFailed:
      return "on the target: \"zferry store verify FOLDER\" tells what is damaged, \"zferry store prune FOLDER\" gives "
             "it up";
    case Fault::kDigestMismatch:
      return "send again; the stream was not completed at the target. If it happens twice, test the memory of both "
             "hosts";
    case Fault::kDifferentStream:
      return "see on the target what was received (zfs list -t snapshot) before sending again";
    default: return "please report this, with both commands and what they said";
  }
}

nlohmann::json failure(const Error& error, const std::string& next) {
  const FaultFacts& known = facts(error.fault);
  return {{"type", "end"},
          {"ok", false},
          {"outcome", known.name},
          {"exit_code", known.exit_code},
          {"retryable", known.retryable},
          {"error", error.what},
          {"next", next},
          {"stream_bytes", 0},
          {"wire_bytes", 0},
          {"elapsed_s", 0.0}};
}

nlohmann::json resume_object(const Resume& resume) {
  return {{"skipped_bytes", resume.skipped_bytes},
          {"sent_again_bytes", resume.sent_again_bytes},
          {"reconnects", resume.reconnects},
          {"lanes_lost", resume.lanes_lost},
          {"without_link_s", seconds(resume.without_link)}};
}

// "; 2 reconnects, 41 s without a link, 3.1 MB sent again; 12.0 GB were there already"; empty where nothing happened.
std::string resume_text(const Resume& resume) {
  std::string text;
  if (resume.reconnects > 0)
    text += fmt::format("; {} reconnect{}, {} without a link, {} sent again", resume.reconnects,
                        resume.reconnects == 1 ? "" : "s", time_text(resume.without_link),
                        bytes_text(static_cast<double>(resume.sent_again_bytes)));
  if (resume.skipped_bytes > 0)
    text += fmt::format("; {} were there from an earlier run", bytes_text(static_cast<double>(resume.skipped_bytes)));
  return text;
}

// Outside bytes that are no UTF-8 must not stop the line that tells of them.
std::string dump_line(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Console::Console(bool json, bool quiet, const std::string& role, std::string command)
    : json_(json),
      quiet_(quiet),
      role_(role),
      command_(std::move(command)),
      terminal_(!json && !quiet && isatty(STDERR_FILENO) == 1) {}

void Console::line(const std::string& text) {
  clear_progress();
  std::string whole = text + "\n";
  std::fwrite(whole.data(), 1, whole.size(), stderr);  // one write: lines of two processes do not mix
  std::fflush(stderr);
}

// "run the same command again" with the command, so that it can be copied.
std::string Console::next_of(const Error& error) const {
  std::string next = error.next.empty() ? usual_next(error.fault) : error.next;
  constexpr std::string_view again = "run the same command again";
  if (!next.starts_with(again) || command_.empty()) return next;
  return fmt::format("{}: {}{}", again, command_, next.substr(again.size()));
}

void Console::clear_progress() {
  if (!std::exchange(progress_shown_, false)) return;
  std::fputs("\r\x1b[K", stderr);
}

void Console::log(const char* level, const std::string& text) {
  if (json_) return line(dump_line({{"type", "log"}, {"level", level}, {"message", text}}));
  line(fmt::format("zferry: {}{}", level == std::string("warning") ? "warning: " : "", text));
}

void Console::listening(const std::string& address, std::uint16_t port) {
  std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  std::string whole = fmt::format("{}:{}", host, port);
  if (json_) return line(dump_line({{"type", "listening"}, {"address", whole}, {"port", port}}));
  if (!quiet_) line("zferry: listening on " + whole);
}

void Console::info(const std::string& text) {
  if (quiet_ || notices_left_ == 0) return;
  --notices_left_;
  log("info", notices_left_ == 0 ? text + " (further notices are left out)" : text);
}

void Console::warning(const std::string& text) { log("warning", text); }

// The source reads ahead of the link by what its pool holds, so what counts there is what has arrived.
std::uint64_t Console::carried_bytes(const Progress& progress) const {
  return role_ == "send" && !comparing_ ? progress.acked_bytes : progress.stream_bytes;
}

std::string Console::progress_text(const Progress& progress, Duration elapsed) {
  if (progress.stage == "waiting") return fmt::format("waiting for the other end, {}", time_text(elapsed));
  std::uint64_t carried = carried_bytes(progress);
  auto logical = static_cast<double>(carried);
  auto wire = static_cast<double>(progress.wire_bytes);
  std::string text = fmt::format("{}  wire {}", bytes_text(logical), bytes_text(wire));
  if (wire > 0 && logical > 0) text += fmt::format(" ({:.2f}x)", logical / wire);
  text += fmt::format("  {}/s", bytes_text(rate_));
  if (progress.found_bytes > 0)
    text += fmt::format("  found {}", bytes_text(static_cast<double>(progress.found_bytes)));
  if (progress.size_hint_bytes > carried && rate_ > 1) {
    auto rest = static_cast<double>(progress.size_hint_bytes - carried);
    text += fmt::format("  {:.0f} %, {} left", 100 * logical / static_cast<double>(progress.size_hint_bytes),
                        time_text(Duration(static_cast<std::int64_t>(std::min(rest / rate_, 1e8) * 1e9))));
  }
  if (progress.bottleneck != Bottleneck::kUnknown)
    text += fmt::format("  limit: {}", bottleneck_name(progress.bottleneck));
  bool usual = progress.stage == "streaming";
  return usual ? text : text + "  " + progress.stage;
}

void Console::progress(const Progress& progress, Duration elapsed) {
  comparing_ = progress.stage == "comparing";
  double span = seconds(elapsed - last_elapsed_);
  std::uint64_t carried = carried_bytes(progress);
  if (span > 0) {
    double now = static_cast<double>(carried - std::min(last_bytes_, carried)) / span;
    rate_ = last_elapsed_.count() == 0 ? now : 0.7 * rate_ + 0.3 * now;
  }
  last_bytes_ = carried;
  last_elapsed_ = elapsed;
  if (json_) {
    nlohmann::json object{{"type", "progress"},
                          {"stage", progress.stage},
                          {"stream_bytes", progress.stream_bytes},
                          {"acked_bytes", progress.acked_bytes},
                          {"wire_bytes", progress.wire_bytes},
                          {"elapsed_s", seconds(elapsed)},
                          {"rate_bytes_per_s", rate_},
                          {"lanes", progress.lanes},
                          {"copied_bytes", progress.copied_bytes},
                          {"found_bytes", progress.found_bytes},
                          {"bottleneck", bottleneck_name(progress.bottleneck)}};
    object["resume"] = resume_object(progress.resume);
    if (progress.size_hint_bytes > 0) object["size_hint_bytes"] = progress.size_hint_bytes;
    return line(dump_line(object));
  }
  if (!terminal_) return;
  std::fprintf(stderr, "\r\x1b[K%s", progress_text(progress, elapsed).c_str());
  std::fflush(stderr);
  progress_shown_ = true;
}

int Console::end(const Error& error) {
  if (json_) {
    line(dump_line(failure(error, next_of(error))));
  } else {
    line("zferry: error: " + error.what);
    line("zferry: next: " + next_of(error));
  }
  return facts(error.fault).exit_code;
}

int Console::end(const Report& report, Duration elapsed) {
  const session::Ending& ending = report.ending;
  int exit_code = facts(ending.error.fault).exit_code;
  if (json_) {
    nlohmann::json object = ending.ok()
                                ? nlohmann::json{{"type", "end"}, {"ok", true}, {"exit_code", 0}, {"retryable", false}}
                                : failure(ending.error, next_of(ending.error));
    object.update({{"role", role_},
                   {"outcome", outcome_of(ending)},
                   {"stream_bytes", report.progress.stream_bytes},
                   {"wire_bytes", report.progress.wire_bytes},
                   {"found_bytes", report.progress.found_bytes},
                   {"elapsed_s", seconds(elapsed)},
                   {"stream_name", report.stream_name},
                   {"producer", report.producer.empty() ? "unknown" : report.producer},
                   {"digest", report.digest},
                   {"peer", report.peer},
                   {"cipher", report.cipher},
                   {"records", report.records},
                   {"resume", resume_object(report.progress.resume)},
                   {"checksums_verified", report.checksums_verified}});
    line(dump_line(object));
    return exit_code;
  }
  if (!ending.ok()) {
    std::uint64_t carried = carried_bytes(report.progress);
    std::string after = carried == 0 ? "" : " after " + bytes_text(static_cast<double>(carried));
    if (carried > 0) after += role_ == "send" ? " had arrived" : " of stream";
    line(fmt::format("zferry: {} failed{}: {} [{}{}]", role_, after, ending.error.what, outcome_of(ending),
                     facts(ending.error.fault).retryable ? ", may be tried again" : ""));
    line("zferry: next: " + next_of(ending.error));
    return exit_code;
  }
  if (!quiet_) line(success_text(report, elapsed));
  return exit_code;
}

std::string Console::success_text(const Report& report, Duration elapsed) const {
  auto logical = static_cast<double>(report.progress.stream_bytes);
  auto wire = static_cast<double>(report.progress.wire_bytes);
  std::string name = report.stream_name.empty() ? "stream" : report.stream_name;
  std::string text =
      fmt::format("zferry: {} {}: {} in {}, {}/s, wire {}", name, outcome_of(report.ending), bytes_text(logical),
                  time_text(elapsed), bytes_text(logical / std::max(seconds(elapsed), 1e-3)), bytes_text(wire));
  // What was received before did not cross again: no ratio.
  bool crossed = report.ending.completion != wire::Completion::kAlreadyReceived;
  if (crossed && wire > 0) text += fmt::format(" ({:.2f}x)", logical / wire);
  if (const std::uint64_t found = report.progress.found_bytes; found > 0)
    text += fmt::format(", found {} at the target", bytes_text(static_cast<double>(found)));
  if (role_ == "send") text += ", producer: " + report.producer;
  return text + resume_text(report.progress.resume);
}

Status print_output(const std::string& text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return errno_error(Fault::kOutputFailed, "write to standard output", errno == 0 ? EIO : errno);
  return {};
}

}  // namespace zferry::cli
