// The façade for stores: what a folder that `recv --store` keeps holds, whether it is whole, giving it up, and filling
// it with what is known to come. docs/STORE.md. All calls block. Only the last one makes a store, or a key.
#pragma once

#include <cstdint>
#include <optional>
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
  // What is only kept to be found by its chunks, and what that has saved, as it was last written down.
  std::uint64_t window_segments = 0;
  std::uint64_t window_bytes = 0;
  store::Savings savings;
};

// Also of a store that is in use, as it was a moment ago. Errors, of these three calls: kStoreFailed: no store, damage
// of all of it, another key, another version; kStateFailed: there is no key, or it cannot be read.
Result<StoreContents> store_contents(const StorePlace& place);

struct StoreDamage {
  StoredSession session;
  Error error;  // names the file and the place in it
};
struct StoreVerdict {
  std::uint64_t sessions = 0;  // looked at, and what could be read of them
  std::uint64_t blocks = 0;
  std::uint64_t packed_bytes = 0;
  std::uint64_t shared_blocks = 0;   // of other streams, that these are made of
  std::uint64_t window_blocks = 0;   // only kept to be found, and read
  std::uint64_t window_damaged = 0;  // and damaged: they are found no more, and cost nothing else
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

struct ImportSettings {
  seal::PublicKey peer{};                     // who will send what is like the stream
  std::optional<seal::SecretBytes> secret{};  // in its place: what both ends will have
  std::uint64_t capacity_bytes = 0;           // of the store, as a recv has it; 0: most of what is free there
  std::uint64_t segment_bytes = limits::kSegmentBytes;
};
struct StoreImport {
  std::uint64_t stream_bytes = 0;    // read, and looked at
  std::uint64_t chunks = 0;          // in them
  std::uint64_t new_chunks = 0;      // that the store did not have
  std::uint64_t new_bytes = 0;       // of these
  std::uint64_t used_bytes = 0;      // of the store's files, afterwards
  std::uint64_t window_bytes = 0;    // of them, kept to be found
  std::uint64_t dropped_chunks = 0;  // that found no room after all
};
// Reads a stream from the descriptor to its end, and keeps its chunks to be found when this peer sends them; no session
// comes of it. A folder that is missing or empty becomes a store, with a key if this host has none yet. Errors:
// kStreamDamaged, kStreamIncomplete, kInputFailed: what came before is kept; kStoreFull: what found room is; as
// Store::open, and kStateFailed. `so_far` holds what was done, also then.
Status import_stream(const StorePlace& place, const ImportSettings& settings, int fd, StoreImport& so_far);

}  // namespace zferry
