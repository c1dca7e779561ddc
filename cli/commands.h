// The commands: each takes its options and returns the exit code.
#pragma once

#include <string>

#include "options.h"

namespace zferry::cli {

int send_command(const TransferOptions& options);
int recv_command(const TransferOptions& options);

// `out`: a file to make, or empty for standard output.
int key_gen_command(const std::string& out);
int key_secret_command(const std::string& out);
// `file`: a private key's, or empty for standard input.
int key_pub_command(const std::string& file);

// `file`: a stream's, or empty for standard input.
int inspect_command(const std::string& file, bool json);

struct StoreOptions {
  std::string folder;
  std::string state_folder;
  std::string session;  // its id, or how it begins
  bool all = false;
  bool yes = false;
  bool json = false;
};
int store_status_command(const StoreOptions& options);
int store_verify_command(const StoreOptions& options);
int store_prune_command(const StoreOptions& options);

}  // namespace zferry::cli
