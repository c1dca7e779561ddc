// The command line, parsed and resolved: addresses, keys and folders as the engine takes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "transfer.h"

namespace zferry::cli {

// What `send` and `recv` share, as typed.
struct TransferOptions {
  std::string address;
  std::string listen;
  std::string key_file;
  std::string peer;
  std::string allow_file;
  std::string secret_file;
  std::string io = "auto";
  std::string compress = "auto";
  std::string limit;
  std::string congestion = "auto";
  int lanes = 0;
  std::string peer_timeout;
  std::string state_folder;
  std::string config_folder;
  int workers = 0;
  bool json = false;
  bool quiet = false;
  std::vector<std::string> command;  // after "--"
  std::string command_line;          // all of it, as one would type it again
  // send
  std::string give_up_after;
  std::string size;
  std::string session_name;
  bool allow_empty = false;
  // recv
  std::string out;
  std::string linger;
  std::string hold;
  std::optional<std::string> store;
  std::string store_failure = "continue";
  std::optional<std::string> dedup_scope;
  std::string dataset;
};

std::string default_config_folder();
std::string default_state_folder();

// Errors: kUsage, kConfig.
Result<SourceSettings> source_settings(const TransferOptions& options);
Result<TargetSettings> target_settings(const TransferOptions& options);
Result<RunSettings> run_settings(const TransferOptions& options);

}  // namespace zferry::cli
