// Console: everything that zferry says. Data goes to standard output, this goes to standard error: a progress line on a
// terminal, plain lines elsewhere, JSON Lines with --json (docs/json-lines.schema.json).
#pragma once

#include <cstdint>
#include <string>

#include "transfer.h"

namespace zferry::cli {

class Console {
 public:
  // `role`: "send" or "recv"; empty where nothing is transferred. `command`: how to run it again, as typed in a shell.
  Console(bool json, bool quiet, const std::string& role = {}, std::string command = {});
  void listening(const std::string& address, std::uint16_t port);
  void info(const std::string& text);
  void warning(const std::string& text);
  void progress(const Progress& progress, Duration elapsed);
  // The last word of a transfer. Returns the exit code.
  int end(const Report& report, Duration elapsed);
  // The last word where there was no transfer. Returns the exit code.
  int end(const Error& error);

 private:
  void line(const std::string& text);
  void log(const char* level, const std::string& text);
  void clear_progress();
  std::string next_of(const Error& error) const;
  std::uint64_t carried_bytes(const Progress& progress) const;
  std::string progress_text(const Progress& progress, Duration elapsed);
  std::string success_text(const Report& report, Duration elapsed) const;

  const bool json_;
  const bool quiet_;
  const std::string role_;
  const std::string command_;
  const bool terminal_;
  bool progress_shown_ = false;
  bool comparing_ = false;  // what is read now is not sent: the target has it
  int notices_left_ = 50;   // strangers can cause notices: no flood of them
  std::uint64_t last_bytes_ = 0;
  Duration last_elapsed_{0};
  double rate_ = 0;  // smoothed, bytes a second
};

// What a command was asked for, on standard output, in one write. Errors: kOutputFailed.
Status print_output(const std::string& text);

}  // namespace zferry::cli
