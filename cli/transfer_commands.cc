// send and recv: settings in, a run, the console's last word out.
#include "commands.h"
#include "console.h"
#include "preflight.h"

namespace zferry::cli {
namespace {

pipeline::Notices notices_to(Console& console) {
  pipeline::Notices notices;
  notices.listening = [&console](const std::string& address, std::uint16_t port) { console.listening(address, port); };
  notices.info = [&console](const std::string& text) { console.info(text); };
  notices.warning = [&console](const std::string& text) { console.warning(text); };
  return notices;
}

template <class Settings>
int transfer(const TransferOptions& options, const std::string& role, Result<Settings> settings, const Status& ready,
             Result<RunResult> (*run_end)(Settings, const RunSettings&)) {
  Console console(options.json, options.quiet, role, options.command_line);
  if (!settings) return console.end(settings.error());
  Result<RunSettings> run = run_settings(options);
  if (!run) return console.end(run.error());
  if (!ready) return console.end(ready.error());
  settings->notices = notices_to(console);
  run->on_progress = [&console](const Progress& progress, Duration elapsed) { console.progress(progress, elapsed); };
  if (options.json) run->on_backend = [&console](const std::string& backend) { console.info("io: " + backend); };
  Result<RunResult> result = run_end(std::move(*settings), *run);
  if (!result) return console.end(result.error());
  return console.end(result->report, result->elapsed);
}

}  // namespace

int send_command(const TransferOptions& options) {
  return transfer(options, "send", source_settings(options), source_ready(options), &run_source);
}
int recv_command(const TransferOptions& options) {
  return transfer(options, "recv", target_settings(options), target_ready(options), &run_target);
}

}  // namespace zferry::cli
