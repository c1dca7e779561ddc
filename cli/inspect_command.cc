#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "commands.h"
#include "console.h"
#include "inspect.h"

namespace zferry::cli {
namespace {

const char* kind_name(zstream::Kind kind) { return kind == zstream::Kind::kZfs ? "zfs" : "opaque"; }

std::string text_of(const Inspection& inspection) {
  const zstream::WalkSummary& s = inspection.summary;
  std::string text = fmt::format("{} stream, {} bytes{}{}\n", kind_name(s.kind), s.stream_bytes,
                                 s.compound ? ", compound" : "", s.byte_swapped ? ", other byte order" : "");
  if (s.kind != zstream::Kind::kZfs) return text;
  text += fmt::format("toname {}  toguid {:016x}  fromguid {:016x}\n", s.toname, s.toguid, s.fromguid);
  for (std::size_t type = 0; type < zstream::kRecordTypes; ++type)
    text += fmt::format("{:15} {:>10} records\n", zstream::record_type_name(static_cast<zstream::RecordType>(type)),
                        s.records[type]);
  text += fmt::format("{} snapshots, {} bytes of payload, {} checksums right\n", s.snapshots, s.payload_bytes,
                      inspection.checksums_verified);
  if (s.opaque_rest) text += fmt::format("not understood from byte {} on: carried as it is\n", s.opaque_from);
  return text;
}

std::string json_of(const Inspection& inspection, bool ok) {
  const zstream::WalkSummary& s = inspection.summary;
  nlohmann::json records;
  for (std::size_t type = 0; type < zstream::kRecordTypes; ++type)
    records[std::string(zstream::record_type_name(static_cast<zstream::RecordType>(type)))] = s.records[type];
  nlohmann::json object{{"type", "inspection"},
                        {"ok", ok},
                        {"kind", kind_name(s.kind)},
                        {"stream_bytes", s.stream_bytes},
                        {"payload_bytes", s.payload_bytes},
                        {"records", records},
                        {"snapshots", s.snapshots},
                        {"checksums_verified", inspection.checksums_verified},
                        {"compound", s.compound},
                        {"byte_swapped", s.byte_swapped},
                        {"toname", s.toname},
                        {"toguid", fmt::format("{:016x}", s.toguid)},
                        {"fromguid", fmt::format("{:016x}", s.fromguid)},
                        {"opaque_rest", s.opaque_rest}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

int inspect_command(const std::string& file, bool json) {
  Console console(json, false);
  UniqueFd opened;
  if (!file.empty()) {
    opened.reset(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened) return console.end(errno_error(Fault::kInputFailed, "open " + file, errno));
  } else if (isatty(STDIN_FILENO) == 1) {
    return console.end({Fault::kUsage, "standard input is a terminal", "zferry inspect < STREAM"});
  }
  Inspection inspection;
  Status status = inspect_stream(file.empty() ? STDIN_FILENO : opened.get(), inspection);
  if (status && inspection.summary.stream_bytes == 0)
    status = Error{Fault::kStreamIncomplete, "the input is empty", "see what the command before the pipe said"};
  Status printed = print_output(json ? json_of(inspection, status.ok()) : text_of(inspection));
  if (!status) return console.end(status.error());
  return printed ? 0 : console.end(printed.error());
}

}  // namespace zferry::cli
