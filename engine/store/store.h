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
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/result.h"
#include "chunk/id.h"
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

// Whose chunks may meet: ids are made with a key of each scope, and what one scope has another does not find.
using Scope = std::array<std::byte, 16>;

// Bytes of a block, in its plain form: what its packed form unpacks to.
struct Run {
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  bool operator==(const Run&) const = default;
};
// A chunk, or what of it is in this block: units, which are sent and found one by one where the chunk is not found as a
// whole. A chunk of one unit has that unit alone, by the chunk's own id.
struct ChunkFacts {
  struct Unit {
    chunk::SubId id{};
    std::vector<Run> runs;  // its bytes, one behind the other; 1..kRunsMax
  };
  std::optional<chunk::Id> id;  // nothing: only some of its units are in this block
  std::vector<Unit> units;      // 1..kUnitsMax
};
inline constexpr std::size_t kRunsMax = 256;
inline constexpr std::size_t kUnitsMax = 256;

// Where a block lies, whichever session's it is or was: all that is needed to read it as long as its segment is there.
struct BlockPlace {
  SessionId session{};
  std::uint32_t segment = 0;
  std::array<std::byte, 16> check{};  // of the segment's header: this very file
  std::uint32_t at = 0;
  BlockFacts block;
  bool operator==(const BlockPlace&) const = default;
};
// Where the bytes of a chunk, or of a unit of one, are.
struct FoundRuns {
  BlockPlace place;
  std::vector<Run> runs;
};

// What is kept beyond its session, to be found again.
struct WindowFacts {
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;        // on disk
  std::uint64_t chunks = 0;       // that can be found by their whole ids
  std::uint64_t index_bytes = 0;  // of memory
};
// What finding them has saved, since the store was made: of the streams' bytes.
struct Savings {
  std::uint64_t looked_bytes = 0;  // that were asked for; again, where an answer was lost with its process
  std::uint64_t found_bytes = 0;   // and were here, and did not cross
  std::uint64_t sessions = 0;      // that asked
};

struct StoreSettings {
  std::uint64_t capacity_bytes = 0;                     // of all files together; 0: most of what the disk has free
  std::uint64_t segment_bytes = limits::kSegmentBytes;  // after which a new segment is begun
  std::function<std::int64_t()> unix_now_s;             // for people; never for decisions
  seal::Cipher cipher = seal::rest_cipher();            // of new files
  bool window = false;  // what sessions let go of is kept as long as there is room, and found by its chunks
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
  // Given up or complete; what it kept is gone for good, or, in a store with a window and unless `keep` is false, only
  // there to be found. REQUIRES: no Session of it lives.
  Status remove(const SessionId& id, bool keep = true);
  std::uint64_t used_bytes() const;
  std::uint64_t capacity_bytes() const;

  // ---- The window. Nothing is found where settings.window is not set.
  // A key for the ids of a scope: the same each time, and unknown to whoever has not the store's key.
  seal::SecretBytes chunk_key(const Scope& scope) const;
  // A chunk of this scope by its id, or a unit of one, of so many bytes, by its short id. What is found is probably
  // what was looked for; it may be damaged. Errors of what is read on the way only make it not be found.
  std::optional<FoundRuns> find(const Scope& scope, const chunk::Id& id, std::uint64_t bytes);
  std::optional<FoundRuns> find(const Scope& scope, const chunk::SubId& id, std::uint64_t bytes);
  // What was found proved wrong or cannot be read: it is not found again there.
  void forget(const BlockPlace& place);
  // A block's packed bytes, also of a session that is in use. REQUIRES: into.size() == place.block.packed_bytes.
  Status read(const BlockPlace& place, Bytes into);
  WindowFacts window() const;
  Savings savings() const;
  // Written down when a session is removed and when the store is closed; a crash may lose some.
  void add_savings(const Savings& more);

  struct State;

 private:
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Session {
 public:
  ~Session();
  // The scope of the chunks that come from now on; without one none can be found. Before the first append().
  void set_scope(const Scope& scope);
  // Written, in any order of numbers; durable only after commit(). A number that is there already is passed over.
  // kStoreFull leaves everything as it was: commit() and checkpoint() still work. `chunks` are those that this block
  // brings; from now on they are found, committed or not. (That they do not survive a crash costs no more than
  // sending them again.)
  Status append(const BlockFacts& block, ConstBytes packed, std::span<const ChunkFacts> chunks = {});
  // Block `number` of this session will be made of what is at `place`: its segment stays, at once against eviction and
  // with the next commit() against crashes, until the session is removed or a checkpoint lies beyond every block that
  // pinned it. False: it is gone already.
  bool pin(const BlockPlace& place, std::uint64_t number);
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
  std::uint64_t used_bytes = 0;       // of all files
  std::uint64_t window_segments = 0;  // that no session needs, with chunks to be found by
  std::uint64_t window_bytes = 0;     // of these
  Savings savings;                    // as they were last written down
};
Result<Holdings> look(io::Folder& folder, const seal::SecretBytes& key);

// Reads everything that counts and opens it; changes nothing. Gives how much was looked at; what is damaged is named in
// the summaries of `damaged`, with the first error of each. Errors: as Store.
struct Verification {
  std::uint64_t sessions = 0;
  std::uint64_t blocks = 0;
  std::uint64_t packed_bytes = 0;
  std::uint64_t shared_blocks = 0;   // of whichever session, that these refer to
  std::uint64_t window_blocks = 0;   // that are only there to be found, by their chunks, and could be read
  std::uint64_t window_damaged = 0;  // and could not: they are sent again
  std::vector<std::pair<SessionId, Error>> damaged;
};
// Blocks that a block refers to, where it is not all there by itself: the store does not know what its bytes mean.
using RefersTo = std::function<Result<std::vector<BlockPlace>>(const BlockFacts& block, ConstBytes packed)>;
Result<Verification> verify(io::Folder& folder, const seal::SecretBytes& key, const RefersTo& refers_to = {});

}  // namespace zferry::store
