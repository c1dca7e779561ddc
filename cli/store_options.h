// What names a store on the command line, and who may find what is in it.
#pragma once

#include <string>

#include "options.h"
#include "store.h"

namespace zferry::cli {

// Of the commands on a store, as typed.
struct StoreOptions {
  std::string folder;
  std::string state_folder;
  std::string session;  // its id, or how it begins
  bool all = false;
  bool yes = false;
  bool json = false;
  // import
  std::string peer;
  std::string secret_file;
  std::string config_folder;
};

// FOLDER[:CAPACITY], made absolute; `named` is what an error calls it. Errors: kUsage.
Result<StoreChoice> store_in(const std::string& text, const std::string& named);
// What recv is told of its store: that, and what becomes of it. REQUIRES: options.store. Errors: kUsage.
Result<StoreChoice> store_choice(const TransferOptions& options);
// The folder, made absolute there too, and where the key is. Errors: kUsage.
Result<StorePlace> store_place(StoreOptions& options);
// Whose stream is imported, and into what: --peer's, the one's who has --secret, or the only one's that may connect.
// Errors: kUsage, kConfig.
Result<ImportSettings> import_settings(const StoreOptions& options, const StoreChoice& choice);

}  // namespace zferry::cli
