#include "options.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "keys.h"
#include "units.h"

namespace zferry::cli {
namespace {

std::string folder_from(const char* variable, const std::string& below_home, const std::string& of_root,
                        const char* own) {
  if (const char* chosen = std::getenv(own); chosen != nullptr && *chosen != '\0') return chosen;
  if (geteuid() == 0) return of_root;
  if (const char* base = std::getenv(variable); base != nullptr && *base == '/') return std::string(base) + "/zferry";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + below_home;
}

std::string config_path(const TransferOptions& options, const char* name) {
  return (options.config_folder.empty() ? default_config_folder() : options.config_folder) + "/" + name;
}

Error usage(std::string what, std::string next) { return {Fault::kUsage, std::move(what), std::move(next)}; }

// Who dials knows whom: by --peer (a key, or a name of the peers file), or by the address's own entry there.
Status resolve_peer(const TransferOptions& options, pipeline::MeetingSettings& meeting, std::string& address) {
  auto peers = read_peers(config_path(options, "peers"));
  if (!peers) return peers.take_error();
  if (!options.peer.empty()) {
    if (auto key = parse_public_key_line(options.peer); key) {
      meeting.credentials.peer = *key;
      return {};
    }
  }
  std::string host = address.substr(0, address.rfind(':'));
  for (const Peer& peer : *peers) {
    bool wanted = options.peer.empty() ? peer.name == address || peer.name == host : peer.name == options.peer;
    if (!wanted) continue;
    meeting.credentials.peer = peer.key;
    if (peer.name == address && !peer.address.empty()) address = peer.address;
    return {};
  }
  if (!options.peer.empty())
    return usage("--peer is neither a public key nor a name in " + config_path(options, "peers"),
                 "give the line that `zferry key pub` prints on the other end");
  return usage("it is not known which key " + escaped(address) + " must have",
               "give --peer PUBLIC-KEY, or write a line \"" + escaped(host) + " PUBLIC-KEY\" into " +
                   config_path(options, "peers"));
}

Status resolve_credentials(const TransferOptions& options, pipeline::MeetingSettings& meeting, std::string& address) {
  if (!options.secret_file.empty()) {
    if (!options.key_file.empty() || !options.peer.empty() || !options.allow_file.empty())
      return usage("--secret stands alone: no --key, --peer or --allow with it", {});
    auto secret = read_secret(options.secret_file);
    if (!secret) return secret.take_error();
    meeting.credentials.secret = std::move(*secret);
    return {};
  }
  if (meeting.listen && !options.peer.empty())
    return usage("--peer belongs to the end that dials", "here, list the key in --allow FILE");
  if (!meeting.listen && !options.allow_file.empty())
    return usage("--allow belongs to the end that listens", "here, give --peer PUBLIC-KEY");
  auto own = read_private_key(options.key_file.empty() ? config_path(options, "key") : options.key_file);
  if (!own) {
    Error error = own.take_error();
    if (error.next.empty()) error.next = "make a key with: zferry key gen --out " + config_path(options, "key");
    return error;
  }
  meeting.credentials.own = std::move(*own);
  if (!meeting.listen) return resolve_peer(options, meeting, address);
  auto allowed = read_allowed(options.allow_file.empty() ? config_path(options, "allow") : options.allow_file);
  if (!allowed) return allowed.take_error();
  meeting.credentials.allowed = std::move(*allowed);
  return {};
}

Result<pipeline::MeetingSettings> meeting_settings(const TransferOptions& options) {
  if (options.address.empty() == options.listen.empty())
    return usage(options.address.empty() ? "neither an address to dial nor --listen is given"
                                         : "an address to dial and --listen exclude each other",
                 "dial: zferry send backup.example:9443; or listen: --listen :9443");
  if (options.give_up_after != "0" && options.give_up_after != "0s")
    return usage("--give-up-after other than 0 is not there yet: a lost link ends the session", "leave it out");
  pipeline::MeetingSettings meeting;
  meeting.listen = !options.listen.empty();
  std::string address = meeting.listen ? options.listen : options.address;
  if (Status known = resolve_credentials(options, meeting, address); !known) return known.take_error();
  auto endpoint = io::parse_endpoint(address);
  if (!endpoint) return endpoint.take_error();
  meeting.endpoint = *endpoint;
  return meeting;
}

Result<pipeline::LaneSettings> lane_settings(const TransferOptions& options) {
  pipeline::LaneSettings lane;
  if (!options.limit.empty()) {
    auto rate = parse_rate(options.limit);
    if (!rate) return rate.take_error();
    if (*rate < 1000) return usage("--limit is below 1000 bytes a second", {});
    lane.rate_bytes_per_s = *rate;
  }
  if (!options.peer_timeout.empty()) {
    auto silence = parse_time(options.peer_timeout);
    if (!silence) return silence.take_error();
    if (*silence < std::chrono::milliseconds(200)) return usage("--peer-timeout is below 200ms", {});
    lane.silence_max = *silence;
    lane.heartbeat_every = std::min<Duration>(lane.heartbeat_every, *silence / 4);
  }
  return lane;
}

Result<pack::PackSettings> pack_settings(const std::string& compress) {
  if (compress == "auto") return pack::PackSettings{};
  if (compress == "off") return pack::PackSettings{pack::Mode::kOff, 0};
  char* end = nullptr;
  long level = std::strtol(compress.c_str(), &end, 10);
  if (compress.empty() || *end != '\0' || level < 1 || level > pack::kLevelMax)
    return usage("--compress takes auto, off or a level from 1 to 12", {});
  return pack::PackSettings{pack::Mode::kAlways, static_cast<int>(level)};
}

}  // namespace

std::string default_config_folder() {
  return folder_from("XDG_CONFIG_HOME", "/.config/zferry", "/etc/zferry", "ZFERRY_CONFIG");
}
std::string default_state_folder() {
  return folder_from("XDG_STATE_HOME", "/.local/state/zferry", "/var/lib/zferry", "ZFERRY_STATE");
}

Result<SourceSettings> source_settings(const TransferOptions& options) {
  SourceSettings settings;
  auto meeting = meeting_settings(options);
  if (!meeting) return meeting.take_error();
  auto lane = lane_settings(options);
  if (!lane) return lane.take_error();
  auto packing = pack_settings(options.compress);
  if (!packing) return packing.take_error();
  if (options.session_name.size() > limits::kNameBytesMax) return usage("--session is longer than 255 bytes", {});
  if (!options.size.empty()) {
    auto size = parse_bytes(options.size);
    if (!size) return size.take_error();
    settings.size_hint_bytes = *size;
  }
  settings.meeting = std::move(*meeting);
  settings.lane = std::move(*lane);
  settings.pack = *packing;
  settings.producer = options.command;
  settings.session_name = options.session_name;
  settings.allow_empty = options.allow_empty;
  return settings;
}

Result<TargetSettings> target_settings(const TransferOptions& options) {
  TargetSettings settings;
  if (!options.out.empty() && !options.command.empty()) return usage("--out FILE and a command exclude each other", {});
  auto meeting = meeting_settings(options);
  if (!meeting) return meeting.take_error();
  auto lane = lane_settings(options);
  if (!lane) return lane.take_error();
  if (!options.linger.empty()) {
    auto linger = parse_time(options.linger);
    if (!linger) return linger.take_error();
    settings.linger = *linger;
  }
  settings.meeting = std::move(*meeting);
  settings.lane = std::move(*lane);
  settings.consumer = options.command;
  if (!options.out.empty()) settings.out_path = std::filesystem::absolute(options.out).lexically_normal().string();
  return settings;
}

Result<RunSettings> run_settings(const TransferOptions& options) {
  RunSettings run;
  if (options.io == "uring" || options.io == "io_uring") {
    run.io = IoChoice::kUring;
  } else if (options.io == "poll") {
    run.io = IoChoice::kPoll;
  } else if (options.io != "auto") {
    return usage("--io takes auto, uring or poll", {});
  }
  run.state_folder = options.state_folder.empty() ? default_state_folder() : options.state_folder;
  run.workers = options.workers;
  return run;
}

}  // namespace zferry::cli
