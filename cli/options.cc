#include "options.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "keys.h"
#include "rate_schedule.h"
#include "store_options.h"
#include "units.h"

namespace zferry::cli {
namespace {

// Empty where there is no home.
std::string folder_from(const char* variable, const std::string& below_home, const std::string& of_root,
                        const char* own) {
  if (const char* chosen = std::getenv(own); chosen != nullptr && *chosen != '\0') return chosen;
  if (geteuid() == 0) return of_root;
  if (const char* base = std::getenv(variable); base != nullptr && *base == '/') return std::string(base) + "/zferry";
  const char* home = std::getenv("HOME");
  std::error_code failed;
  if (home == nullptr || *home != '/' || !std::filesystem::is_directory(home, failed)) return {};
  return home + below_home;
}

Error usage(std::string what, std::string next) { return {Fault::kUsage, std::move(what), std::move(next)}; }

// The file that an option names, or else the one of that name in the configuration folder.
Result<std::string> config_file(const TransferOptions& options, const std::string& chosen, const char* name) {
  if (!chosen.empty()) return chosen;
  std::string folder = options.config_folder.empty() ? default_config_folder() : options.config_folder;
  if (folder.empty())
    return usage(std::string("no home folder to look for ") + name + " in",
                 "give --config FOLDER (or --key FILE and --peer KEY or --allow FILE), and --state FOLDER");
  return folder + "/" + name;
}

// "backup:1234" by a line of "backup" that has an address: that line's host, at the port that was typed.
std::string with_port_of(const std::string& entry, const std::string& address) {
  return entry.substr(0, entry.rfind(':')) + address.substr(address.rfind(':'));
}

// Who dials knows whom: by --peer (a key, or a name of the peers file), or by the address's own entry there.
Status resolve_peer(const TransferOptions& options, pipeline::MeetingSettings& meeting, std::string& address) {
  if (auto key = parse_public_key_line(options.peer); key) {
    meeting.credentials.peer = *key;
    return {};
  }
  auto file = config_file(options, {}, "peers");
  if (!file) return file.take_error();
  auto peers = read_peers(*file);
  if (!peers) return peers.take_error();
  std::string host = address.substr(0, address.rfind(':'));
  for (const Peer& peer : *peers) {
    bool wanted = options.peer.empty() ? peer.name == address || peer.name == host : peer.name == options.peer;
    if (!wanted) continue;
    meeting.credentials.peer = peer.key;
    if (peer.address.empty() || !options.peer.empty()) return {};
    address = peer.name == address ? peer.address : with_port_of(peer.address, address);
    return {};
  }
  if (!options.peer.empty())
    return usage("--peer is neither a public key nor a name in " + *file,
                 "give the line that `zferry key pub` prints on the other end");
  return usage("it is not known which key " + escaped(address) + " must have",
               "give --peer PUBLIC-KEY, or write a line \"" + escaped(host) + " PUBLIC-KEY\" into " + *file);
}

Status resolve_credentials(const TransferOptions& options, pipeline::MeetingSettings& meeting, std::string& address) {
  if (!options.secret_file.empty()) {
    if (!options.key_file.empty() || !options.peer.empty() || !options.allow_file.empty())
      return usage("--secret stands alone: no --key, --peer or --allow with it",
                   "leave those out, or leave --secret out");
    auto secret = read_secret(options.secret_file);
    if (!secret) return secret.take_error();
    meeting.credentials.secret = std::move(*secret);
    return {};
  }
  if (meeting.listen && !options.peer.empty())
    return usage("--peer belongs to the end that dials", "here, list the key in --allow FILE");
  if (!meeting.listen && !options.allow_file.empty())
    return usage("--allow belongs to the end that listens", "here, give --peer PUBLIC-KEY");
  auto key_file = config_file(options, options.key_file, "key");
  if (!key_file) return key_file.take_error();
  auto own = read_private_key(*key_file);
  if (!own) return own.take_error();
  meeting.credentials.own = std::move(*own);
  if (!meeting.listen) return resolve_peer(options, meeting, address);
  auto allow_file = config_file(options, options.allow_file, "allow");
  if (!allow_file) return allow_file.take_error();
  auto allowed = read_allowed(*allow_file);
  if (!allowed) return allowed.take_error();
  meeting.credentials.allowed = std::move(*allowed);
  return {};
}

Result<pipeline::MeetingSettings> meeting_settings(const TransferOptions& options) {
  if (options.address.empty() == options.listen.empty())
    return usage(options.address.empty() ? "neither an address to dial nor --listen is given"
                                         : "an address to dial and --listen exclude each other",
                 "dial: zferry send backup.example:9443; or listen: --listen :9443");
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
    auto source = rate_source(options.limit);
    if (!source) return source.take_error();
    lane.rate_bytes_per_s = source->bytes_per_s;
    lane.rate_now = source->again;
  }
  if (!options.peer_timeout.empty()) {
    auto silence = parse_time(options.peer_timeout);
    if (!silence) return silence.take_error();
    if (*silence < limits::kSilenceMaxMin || *silence > limits::kSilenceMaxMax)
      return usage("--peer-timeout must lie between 2s and 10m", "leave it out for 12s");
    lane.silence_max = *silence;
  }
  return lane;
}

// "never", or a time.
Result<Duration> patience(const std::string& text) {
  if (text == "never") return pipeline::kForEver;
  return parse_time(text);
}

Result<pack::PackSettings> pack_settings(const std::string& compress) {
  if (compress == "auto") return pack::PackSettings{};
  if (compress == "off") return pack::PackSettings{pack::Mode::kOff, 0};
  char* end = nullptr;
  long level = std::strtol(compress.c_str(), &end, 10);
  if (compress.empty() || *end != '\0' || level < 1 || level > pack::kLevelMax)
    return usage("--compress takes auto, off or a level from 1 to 12", "leave it out for auto");
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
  if (options.session_name.size() > limits::kNameBytesMax)
    return usage("--session is longer than 255 bytes", "give a shorter name");
  if (!options.size.empty()) {
    auto size = parse_bytes(options.size);
    if (!size) return size.take_error();
    settings.size_hint_bytes = *size;
  }
  if (!options.give_up_after.empty()) {
    auto give_up = patience(options.give_up_after);
    if (!give_up) return give_up.take_error();
    settings.give_up_after = *give_up;
  }
  settings.lanes = static_cast<std::size_t>(options.lanes);
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  if (options.congestion.empty() || options.congestion.size() > 15 || !std::ranges::all_of(options.congestion, plain))
    return usage("--congestion takes auto, system, or a name like bbr or cubic", "leave it out for auto");
  if (options.congestion != "auto") settings.congestion = options.congestion;
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
  if (!options.out.empty() && !options.command.empty())
    return usage("--out FILE and a command exclude each other", "leave one of them out");
  if (!options.out.empty() && !options.dataset.empty())
    return usage("--out FILE and --dataset exclude each other", "leave one of them out");
  auto meeting = meeting_settings(options);
  if (!meeting) return meeting.take_error();
  auto lane = lane_settings(options);
  if (!lane) return lane.take_error();
  if (!options.linger.empty()) {
    auto linger = parse_time(options.linger);
    if (!linger) return linger.take_error();
    settings.linger = *linger;
  }
  if (!options.hold.empty()) {
    auto hold = patience(options.hold);
    if (!hold) return hold.take_error();
    settings.hold = *hold;
  }
  settings.lanes = static_cast<std::size_t>(options.lanes);
  settings.meeting = std::move(*meeting);
  settings.lane = std::move(*lane);
  settings.consumer = options.command;
  settings.dataset = options.dataset;
  if (!options.dataset.empty() && options.command.empty() && options.out.empty())
    settings.consumer = {"zfs", "receive", "-s", "-u", options.dataset};
  if (!options.store && options.store_failure != "continue")
    return usage("--store-failure says what becomes of a transfer whose store fails", "give --store FOLDER, too");
  if (!options.store && options.dedup_scope)
    return usage("--dedup-scope says with what the streams of a store share their content", "give --store FOLDER, too");
  if (options.store) {
    auto store = store_choice(options);
    if (!store) return store.take_error();
    settings.store = *store;
  }
  if (!options.out.empty()) {
    std::error_code failed;
    settings.out_path = std::filesystem::absolute(options.out, failed).lexically_normal().string();
    if (failed) return usage("--out " + escaped(options.out) + ": " + failed.message(), "give an absolute path");
  }
  return settings;
}

Result<RunSettings> run_settings(const TransferOptions& options) {
  RunSettings run;
  if (options.io == "uring" || options.io == "io_uring") {
    run.io = IoChoice::kUring;
  } else if (options.io == "poll") {
    run.io = IoChoice::kPoll;
  } else if (options.io != "auto") {
    return usage("--io takes auto, uring or poll", "leave it out for auto");
  }
  run.state_folder = options.state_folder.empty() ? default_state_folder() : options.state_folder;
  if (run.state_folder.empty()) return usage("no home folder for the state folder", "give --state FOLDER");
  run.workers = options.workers;
  return run;
}

}  // namespace zferry::cli
