// The commands: each takes its options and returns the exit code.
#pragma once

#include <string>

#include "options.h"
#include "store_options.h"

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

int store_status_command(const StoreOptions& options);
int store_verify_command(const StoreOptions& options);
int store_prune_command(const StoreOptions& options);
int store_import_command(const StoreOptions& options);
int store_stats_command(const StoreOptions& options);

}  // namespace zferry::cli
