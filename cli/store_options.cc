#include "store_options.h"

#include <algorithm>
#include <filesystem>

#include "keys.h"
#include "units.h"

namespace zferry::cli {
namespace {

Error usage(std::string what, std::string next) { return {Fault::kUsage, std::move(what), std::move(next)}; }

constexpr std::pair<const char*, DedupScope> kDedupScopes[] = {{"none", DedupScope::kNone},
                                                               {"session", DedupScope::kSession},
                                                               {"dataset", DedupScope::kDataset},
                                                               {"peer", DedupScope::kPeer}};

constexpr const char* kPeerWanted =
    "give --peer PUBLIC-KEY: what `zferry key pub` prints on the source, or its name in CONFIG/peers";

// The one line of CONFIG/allow, which is what a target that listens has.
Result<seal::PublicKey> only_allowed(const std::string& config) {
  if (config.empty())
    return usage("it is not known whose stream this is: no home folder to look for allow in", kPeerWanted);
  const std::string file = config + "/allow";
  std::error_code failed;
  if (!std::filesystem::exists(file, failed))
    return usage("it is not known whose stream this is: there is no " + escaped(file), kPeerWanted);
  auto allowed = read_allowed(file);
  if (!allowed) return allowed.take_error();
  if (allowed->size() > 1)
    return usage("it is not known whose stream this is: " + escaped(file) + " allows " +
                     std::to_string(allowed->size()) + " keys",
                 kPeerWanted);
  return allowed->front();
}

Result<seal::PublicKey> import_peer(const StoreOptions& options) {
  const std::string config = options.config_folder.empty() ? default_config_folder() : options.config_folder;
  if (options.peer.empty()) return only_allowed(config);
  if (auto key = parse_public_key_line(options.peer); key) return *key;
  auto peers = config.empty() ? Result(std::vector<Peer>{}) : read_peers(config + "/peers");
  if (!peers) return peers.take_error();
  const auto known = std::ranges::find(*peers, options.peer, &Peer::name);
  if (known != peers->end()) return known->key;
  return usage("--peer is neither a public key nor a name in " + escaped(config) + "/peers", kPeerWanted);
}

}  // namespace

// What follows the last colon is the capacity, unless the path goes on behind it.
Result<StoreChoice> store_in(const std::string& text, const std::string& named) {
  StoreChoice choice;
  choice.folder = text;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && text.find('/', colon) == std::string::npos) {
    auto capacity = parse_bytes(text.substr(colon + 1));
    if (!capacity)
      return usage(named + ": what follows the colon is no capacity",
                   "write it like /var/store:200G; a folder with a colon in its name needs a capacity behind it");
    choice.folder = text.substr(0, colon);
    choice.capacity_bytes = *capacity;
    if (*capacity < limits::kCapacityMin)
      return usage(named + ": a store needs at least 64Mi", "leave the capacity out: it then takes what is free");
    choice.segment_bytes = std::min<std::uint64_t>(limits::kSegmentBytes, *capacity / 8);
  }
  if (choice.folder.empty())
    return usage(named + ": no folder is named", "write it like /var/store, or /var/store:200G");
  std::error_code failed;
  choice.folder = std::filesystem::absolute(choice.folder, failed).lexically_normal().string();
  if (failed) return usage(named + ": " + failed.message(), "give an absolute path");
  return choice;
}

Result<StoreChoice> store_choice(const TransferOptions& options) {
  auto choice = store_in(*options.store, "--store " + escaped(*options.store));
  if (!choice) return choice;
  if (options.store_failure != "continue" && options.store_failure != "end")
    return usage("--store-failure takes continue or end", "leave it out for continue");
  choice->end_when_lost = options.store_failure == "end";
  if (!options.dedup_scope) return choice;
  const auto known =
      std::ranges::find(kDedupScopes, *options.dedup_scope, [](const auto& scope) { return scope.first; });
  if (known == std::end(kDedupScopes))
    return usage("--dedup-scope takes none, session, dataset or peer", "leave it out for peer");
  choice->dedup = known->second;
  return choice;
}

Result<StorePlace> store_place(StoreOptions& options) {
  std::error_code failed;
  options.folder = std::filesystem::absolute(options.folder, failed).lexically_normal().string();
  if (failed) return usage(failed.message(), "give an absolute path");
  const std::string state = options.state_folder.empty() ? default_state_folder() : options.state_folder;
  if (state.empty()) return usage("no home folder for the state folder", "give --state FOLDER");
  return StorePlace{options.folder, state};
}

Result<ImportSettings> import_settings(const StoreOptions& options, const StoreChoice& choice) {
  ImportSettings settings;
  settings.capacity_bytes = choice.capacity_bytes;
  settings.segment_bytes = choice.segment_bytes;
  if (!options.secret_file.empty()) {
    if (!options.peer.empty()) return usage("--secret stands alone: no --peer with it", "leave one of them out");
    auto secret = read_secret(options.secret_file);
    if (!secret) return secret.take_error();
    settings.secret = std::move(*secret);
    return settings;
  }
  auto peer = import_peer(options);
  if (!peer) return peer.take_error();
  settings.peer = *peer;
  return settings;
}

}  // namespace zferry::cli
