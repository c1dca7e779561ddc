// Store: the target's bounded, crash-safe keep of blocks: spool and checkpoint in one. A folder of segments (packed
// blocks, sealed at rest) and of one journal a session, which says what of them counts. docs/STORE.md.
//
// Threading: all calls block (writes, fsyncs); one thread at a time, the same for a store and its sessions.
// Errors of every call: kStoreFull (capacity, or the disk) and kStoreFailed (I/O, damage, another key, another
// version). After kStoreFailed of a write or an fsync the store is over: each later call that writes repeats that
// error.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/result.h"
#include "io/folder.h"
#include "seal/keys.h"
#include "seal/rest_cipher.h"

namespace zferry::store {

using SessionId = std::array<std::byte, 32>;

// A block as the pipeline names it; what it means is not the store's to know.
struct BlockFacts {
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
  std::uint32_t raw_bytes = 0;
  std::uint32_t packed_bytes = 0;  // 1..limits::kBlockBytesMax
  std::uint8_t encoding = 0;
  bool operator==(const BlockFacts&) const = default;
};

// Small named values of a session. What each holds is the pipeline's; the store keeps the latest.
enum class Note : std::uint8_t {
  kSession = 1,  // who, what, where to: written once
  kRun = 2,      // the source's run, and how often this end was started for it
  kFinal = 3,    // the source's FINAL, once it was found right
};
inline constexpr std::size_t kNoteBytesMax = 64 * limits::KiB;
inline constexpr std::size_t kCheckpointBytesMax = 48 * limits::MiB;

struct SessionSummary {
  SessionId id{};
  std::string label;  // for people; <= 512 bytes, escaped before it is shown
  std::int64_t begun_unix_s = 0;
  std::uint64_t first_number = 0;  // of the checkpoint: blocks below are applied
  std::uint64_t next_number = 0;   // blocks from the first to here are all there
  std::uint64_t blocks = 0;
  std::optional<std::uint64_t>
      first_offset;                          // in the stream, of the first number's block; nothing where it is not here
  std::optional<std::uint64_t> next_offset;  // behind the block before the next number; nothing where it is not here
  std::uint64_t packed_bytes = 0;            // of the blocks
  std::uint64_t disk_bytes = 0;              // of segments and journal
  std::optional<Error> damage;               // its journal cannot be read: it can only be removed
};

struct StoreSettings {
  std::uint64_t capacity_bytes = 0;                     // of all files together; 0: most of what the disk has free
  std::uint64_t segment_bytes = limits::kSegmentBytes;  // after which a new segment is begun
  std::function<std::int64_t()> unix_now_s;             // for people; never for decisions
  seal::Cipher cipher = seal::rest_cipher();            // of new files
};

class Session;

class Store {
 public:
  // Locks the folder and recovers: torn tails are cut, files that nobody names go. `key` wraps the keys at rest: it
  // does not live in the folder. A new, empty folder becomes a store. REQUIRES: `folder` and `random` outlive this
  // object. Errors also: kBusy.
  static Result<std::unique_ptr<Store>> open(io::Folder& folder, const seal::SecretBytes& key, StoreSettings settings,
                                             RandomSource& random);
  ~Store();
  std::vector<SessionSummary> sessions() const;
  // Sessions die before their store. A new one. REQUIRES: there is none of this id. Durable with its first commit().
  Result<std::unique_ptr<Session>> begin(const SessionId& id, const std::string& label);
  // One that was found at open(), under new keys. REQUIRES: it is there, undamaged, and not in use.
  Result<std::unique_ptr<Session>> resume(const SessionId& id);
  // Given up or complete; what it kept is gone for good. REQUIRES: no Session of it lives.
  Status remove(const SessionId& id);
  std::uint64_t used_bytes() const;
  std::uint64_t capacity_bytes() const;

  struct State;

 private:
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Session {
 public:
  ~Session();
  // Written, in any order of numbers; durable only after commit(). A number that is there already is passed over.
  // kStoreFull leaves everything as it was: commit() and checkpoint() still work.
  Status append(const BlockFacts& block, ConstBytes packed);
  // Whether append() of a block so long would find room.
  bool has_room(std::size_t packed_bytes) const;
  // Blocks from this number on are forgotten, with the next commit().
  void truncate(std::uint64_t number);
  // The new value counts with the next commit().
  void set_note(Note note, ConstBytes value);
  std::optional<std::vector<std::byte>> note(Note note) const;
  // Everything so far survives a crash once this returns: first the blocks are synced, then the journal that names
  // them.
  Status commit();
  // Blocks below `number` are applied: they will never be read again, and their segments go. `state` is what the
  // pipeline needs to begin at `number`. Commits. REQUIRES: number never goes back; <= the first that is missing.
  Status checkpoint(std::uint64_t number, ConstBytes state);
  // Of the last checkpoint(); nothing (and number 0) where there was none.
  std::uint64_t first_number() const;
  const std::vector<std::byte>& checkpoint_state() const;

  // Blocks that count, committed or not, by number.
  const std::map<std::uint64_t, BlockFacts>& blocks() const;
  // Its packed bytes. REQUIRES: in blocks(); into.size() == packed_bytes. Errors also: damage, naming segment and
  // place.
  Status read(std::uint64_t number, Bytes into);

  struct State;

 private:
  friend class Store;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What a store holds, without its lock: also of one that is in use, as it was a moment ago. Changes nothing. Errors: as
// Store.
struct Holdings {
  std::vector<SessionSummary> sessions;
  std::uint64_t used_bytes = 0;  // of all files
};
Result<Holdings> look(io::Folder& folder, const seal::SecretBytes& key);

// Reads everything that counts and opens it; changes nothing. Gives how much was looked at; what is damaged is named in
// the summaries of `damaged`, with the first error of each. Errors: as Store.
struct Verification {
  std::uint64_t sessions = 0;
  std::uint64_t blocks = 0;
  std::uint64_t packed_bytes = 0;
  std::vector<std::pair<SessionId, Error>> damaged;
};
Result<Verification> verify(io::Folder& folder, const seal::SecretBytes& key);

}  // namespace zferry::store
