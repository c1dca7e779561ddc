#include "preflight.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/bytes.h"

namespace zferry::cli {
namespace {

// 0, or errno's number: why this file cannot be run.
int cannot_run(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return errno;
  if (!S_ISREG(facts.st_mode)) return EACCES;
  return access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

bool in_search_path(const std::string& name) {
  const char* search = std::getenv("PATH");
  if (search == nullptr) return true;  // the C library's own default: not ours to guess
  std::istringstream folders(search);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (cannot_run((folder.empty() ? "." : folder) + "/" + name) == 0) return true;
  // A last empty entry, which getline does not give, is the current folder too.
  return (std::string_view(search).empty() || std::string_view(search).ends_with(':')) && cannot_run("./" + name) == 0;
}

Status command_ready(const std::vector<std::string>& command) {
  if (command.empty()) return {};
  const std::string& name = command.front();
  const std::string what = "run " + escaped(name);
  if (name.find('/') == std::string::npos) {
    if (in_search_path(name)) return {};
    return Error{Fault::kCannotRun, what + ": there is no such command in PATH",
                 "check its name with: command -v " + escaped(name) + "; zfs is often /usr/sbin/zfs"};
  }
  const int why = cannot_run(name);
  if (why == 0) return {};
  Error error = errno_error(Fault::kCannotRun, what, why);
  error.next = "check the command's path with: ls -l " + escaped(name);
  return error;
}

Status folder_ready(const std::string& out) {
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::absolute(out, failed).lexically_normal().parent_path();
  if (failed || std::filesystem::is_directory(folder, failed)) return {};
  return Error{Fault::kOutputFailed, "--out " + escaped(out) + ": there is no folder " + escaped(folder.string()),
               "mkdir -p " + escaped(folder.string())};
}

}  // namespace

Status source_ready(const TransferOptions& options) {
  if (options.command.empty() && isatty(STDIN_FILENO) == 1)
    return Error{Fault::kUsage, "standard input is a terminal: no stream comes from there",
                 "let zferry run the producer: zferry send ... -- zfs send -w tank/vm@monday"};
  return command_ready(options.command);
}

Status target_ready(const TransferOptions& options) {
  if (!options.out.empty()) return folder_ready(options.out);
  if (options.command.empty() && options.dataset.empty() && isatty(STDOUT_FILENO) == 1)
    return Error{Fault::kUsage, "standard output is a terminal: a stream does not go there",
                 "let zferry run the consumer: zferry recv ... -- zfs receive -s -u pool/vm; or give --out FILE"};
  return command_ready(options.command);
}

}  // namespace zferry::cli
