// The façade for stores: what a folder that `recv --store` keeps holds, whether it is whole, and giving it up.
// docs/STORE.md. All calls block. None makes a store, or a key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace zferry {

struct StorePlace {
  std::string folder;
  std::string state_folder;  // where the key of this host's stores is
};

// Words are as the source gave them: escaped before they are shown.
struct StoredSession {
  store::SessionSummary summary;
  std::string id;           // of summary.id, in hex
  std::string stream_name;  // empty: it has none
  std::string destination;  // "zfs receive -s -u pool/vm", "file /path", "stdout"
  // Where that is a `zfs receive -s`: the commands that ask ZFS for its token, and that give up what ZFS kept.
  std::string ask_command;
  std::string give_up_command;
};

struct StoreContents {
  std::vector<StoredSession> sessions;
  std::uint64_t used_bytes = 0;  // of all files
  std::uint64_t free_bytes = 0;  // on the disk behind it
};

// Also of a store that is in use, as it was a moment ago. Errors, of all three calls: kStoreFailed: no store, damage of
// all of it, another key, another version; kStateFailed: there is no key, or it cannot be read.
Result<StoreContents> store_contents(const StorePlace& place);

struct StoreDamage {
  StoredSession session;
  Error error;  // names the file and the place in it
};
struct StoreVerdict {
  std::uint64_t sessions = 0;  // looked at, and what could be read of them
  std::uint64_t blocks = 0;
  std::uint64_t packed_bytes = 0;
  std::vector<StoreDamage> damaged;
};
// Reads everything and compares it with its seals. Errors also: kBusy.
Result<StoreVerdict> verify_store(const StorePlace& place);

struct StorePruning {
  std::uint64_t sessions = 0;  // of those that were named, as many as were there
  std::uint64_t freed_bytes = 0;
  std::uint64_t used_bytes = 0;  // still
};
// What these sessions kept is gone for good. Errors also: kBusy.
Result<StorePruning> prune_store(const StorePlace& place, const std::vector<store::SessionId>& sessions);

}  // namespace zferry
