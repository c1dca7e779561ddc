// The messages: plaintext of every frame that is not DATA, and the payloads of the two handshake messages.
// docs/PROTOCOL.md, "Messages". Each struct has encode() and decode() in one file of its own. Fixed little-endian
// fields, then length-prefixed text; decode checks every length, every enumerator and that nothing is left over. Errors
// of every decode: kProtocol, naming message and field.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/result.h"

namespace zferry::wire {

using Message = std::vector<std::byte>;
using Id = std::array<std::byte, 32>;

enum class Role : std::uint8_t { kSource = 1, kTarget = 2 };

// Handshake message 1: what the dialler is and can. Padded by the handshake to the one size of first messages.
struct Offer {
  std::uint16_t version_min = 1;
  std::uint16_t version_max = 1;
  Role role = Role::kSource;
  bool joins = false;                 // the lane is meant for a session that runs; JOIN proves it
  std::vector<std::uint8_t> ciphers;  // seal::Cipher numbers, the preferred first; 1..8 of them
  std::uint32_t features = 0;         // bits of what is understood; unknown ones are ignored
};
Message encode(const Offer& message);
Result<Offer> decode_offer(ConstBytes bytes);

// Handshake message 2: what the listener chose, or why it declines.
struct Choice {
  Fault refusal = Fault::kNone;  // kBusy, kNotAllowed, kProtocol (no common version or cipher, both the same role)
  std::uint16_t version = 1;
  Role role = Role::kTarget;  // the listener's own
  std::uint8_t cipher = 1;
  std::uint32_t features = 0;
};
Message encode(const Choice& message);
Result<Choice> decode_choice(ConstBytes bytes);

// The dialler's first frame. All zero: the lane belongs to no session yet.
struct Join {
  Id session{};                   // both ends derive it from the session's leaf key
  std::uint64_t incarnation = 0;  // of the source's run that the dialler is in session with
  Id proof{};                     // MAC over the handshake's transcript, session and incarnation
  bool fresh() const { return session == Id{}; }
};
Message encode(const Join& message);
Result<Join> decode_join(ConstBytes bytes);

enum class StreamKind : std::uint8_t { kOpaque = 1, kZfs = 2, kCompound = 3 };  // kCompound: ZFS, of many snapshots
// Whether the source knows of an earlier run of this stream whose outcome it never learned.
enum class EarlierRun : std::uint8_t { kNone = 0, kOutcomeUnknown = 1, kCannotKnow = 2 };

struct Open {
  Id identity{};                  // of the stream: zstream's, or of the session's name, or random
  std::uint64_t incarnation = 0;  // of this run of the source; a newer one fences an older (rung 2)
  StreamKind kind = StreamKind::kOpaque;
  EarlierRun earlier_run = EarlierRun::kNone;
  std::uint32_t block_bytes_max = 0;  // <= kBlockBytesMax; also the length of a leaf
  bool nameable = false;              // a later run can be recognised: worth holding for
  std::uint8_t lanes = 0;             // how many the source would like; 0: as many as the target likes
  std::uint32_t give_up_s = 0;        // how long the source tries to get a lost link back; kForEver: never ends
  std::uint64_t size_hint_bytes = 0;  // 0: unknown
  std::string name;                   // toname, or the session's name: for people; <= kNameBytesMax
};
Message encode(const Open& message);
Result<Open> decode_open(ConstBytes bytes);

inline constexpr std::uint32_t kForEver = 0xffffffff;
inline constexpr std::uint64_t kNoEnd = std::uint64_t{1} << 62;  // no stream is so long

// What the stream's digest was after so many of its bytes.
struct Mark {
  std::uint64_t stream_bytes = 0;
  Id digest{};
};
enum class OpenedHow : std::uint8_t { kFromStart = 1, kAlreadyReceived = 2, kContinue = 3 };
struct Opened {
  OpenedHow how = OpenedHow::kFromStart;
  Id leaf_key{};                  // of the session; of the completion record where it was already received
  std::uint64_t credit = 0;       // blocks numbered below this may be sent
  std::uint8_t lanes = 1;         // 1..kLanesMax, agreed
  std::uint32_t hold_s = 0;       // how long the target holds the session without a link; kForEver: never ends
  std::uint64_t next_number = 0;  // kContinue: the block that comes next,
  std::uint64_t offset = 0;       // its place in the stream,
  std::vector<Mark> marks;        // and what stands before it, ascending; the last at `offset`. At most kMarksMax
  std::uint32_t life = 0;         // as in Ack
  std::uint64_t credit_bytes = kNoEnd;
  Id chunk_key{};  // for the ids of chunks; all zero: the target looks for none
};
inline constexpr std::size_t kMarksMax = 96;
Message encode(const Opened& message);
Result<Opened> decode_opened(ConstBytes bytes);

enum class Encoding : std::uint8_t {
  kStored = 0,
  kZstd = 1,
  kChunks = 2,  // a recipe: what the target said it lacks, and how to make the block of that and what it has
};
struct Block {
  std::uint64_t number = 0;
  std::uint64_t offset = 0;        // of its first byte in the stream; < 2^62
  std::uint32_t raw_bytes = 0;     // 1..block_bytes_max
  std::uint32_t packed_bytes = 0;  // 1..raw_bytes; equal where stored
  Encoding encoding = Encoding::kStored;
};
Message encode(const Block& message);
Result<Block> decode_block(ConstBytes bytes);

// How well the target keeps what it has not delivered, and so what a source may forget: with a store what is durable,
// without one what was received.
enum class Keep : std::uint8_t {
  kMemory = 0,  // no store
  kStore = 1,
  kStoreLost = 2,  // its store failed or is full: what comes from now on does not survive a crash
};
struct Ack {
  std::uint64_t received = 0;         // every block below this number is in the target's memory
  std::uint64_t delivered = 0;        // ... has been written to the consumer (the withheld tail excepted)
  std::uint64_t credit = 0;           // never goes back
  std::vector<std::uint64_t> beyond;  // bit i of the words: block received + i is there too; <= kAckWordsMax
  std::uint64_t durable = 0;          // every block below this number survives a crash of the target; <= received
  std::uint32_t life = 0;             // how often the target was started anew for this session
  Keep keep = Keep::kMemory;
  std::uint64_t credit_bytes = kNoEnd;  // of the stream: blocks that end here or before may be sent; never goes back
};
Message encode(const Ack& message);
Result<Ack> decode_ack(ConstBytes bytes);

// What a block is made of, before it comes itself. A chunk has a piece or several, with a gap between each two; where
// its pieces stand apart each is a unit with a short id of its own, else the chunk is one unit.
struct Chunks {
  using ChunkId = std::array<std::byte, 16>;
  using UnitId = std::array<std::byte, 6>;
  struct Chunk {
    ChunkId id{};
    std::uint32_t offset = 0;                // of the first piece in the block
    std::vector<std::uint32_t> piece_bytes;  // 1..kPiecesMax lengths
    std::vector<UnitId> unit_ids;            // one a piece where they stand apart, else none
    // The last one may be of keys: a piece for the header before each piece of the others, a unit for each of those.
    bool keys = false;
    std::uint64_t bytes() const;
  };
  std::uint64_t number = 0;  // of the block
  std::uint64_t offset = 0;
  std::uint32_t raw_bytes = 0;
  std::uint16_t gap_bytes = 0;
  std::vector<Chunk> chunks;  // 1 at least; in the block, one behind the other
  // Lengths of the units of all chunks, in their order.
  std::vector<std::uint32_t> unit_bytes() const;
};
inline constexpr std::size_t kPiecesMax = 256;       // of a chunk
inline constexpr std::size_t kBlockUnitsMax = 1024;  // of a block's chunks
Message encode(const Chunks& message);
Result<Chunks> decode_chunks(ConstBytes bytes);

// The answer. The same block may be answered again: whole, where it could not be put together as answered.
struct Need {
  std::uint64_t number = 0;
  bool whole = false;                  // the block itself, without any regard to chunks
  std::vector<std::uint64_t> missing;  // bit i of the words: unit i, of all chunks in their order; <= kBlockUnitsMax
};
Message encode(const Need& message);
Result<Need> decode_need(ConstBytes bytes);

enum class ProducerExit : std::uint8_t { kUnknown = 0, kSuccess = 1 };  // a failed producer is an Abort
struct Final {
  std::uint64_t stream_bytes = 0;
  std::uint64_t blocks = 0;
  Id digest{};
  ProducerExit producer = ProducerExit::kUnknown;
};
Message encode(const Final& message);
Result<Final> decode_final(ConstBytes bytes);

enum class Completion : std::uint8_t { kApplied = 1, kDelivered = 2, kAlreadyReceived = 3 };
struct FinalAck {
  Completion completion = Completion::kDelivered;
  std::uint64_t stream_bytes = 0;
};
Message encode(const FinalAck& message);
Result<FinalAck> decode_final_ack(ConstBytes bytes);

// The end of a session that failed; `fault` is the one that both ends report. Also the refusal of an Open.
struct Abort {
  Fault fault = Fault::kInternal;  // never kNone
  std::string text;                // for people; <= kErrorTextBytesMax; escaped before it is shown
};
Message encode(const Abort& message);
Result<Abort> decode_abort(ConstBytes bytes);

// How many lanes the source wants from now on: a target that dials, dials so many. They may pass each other on their
// lanes: the highest serial counts.
struct Lanes {
  std::uint32_t serial = 0;
  std::uint8_t lanes = 1;  // 1..kLanesMax
  bool leaves = false;     // nothing more comes on the lane that carries this: it ends in good order
};
Message encode(const Lanes& message);
Result<Lanes> decode_lanes(ConstBytes bytes);

// kHeartbeat, kDone and kLeave are empty; decoding one is checking that it is.
Status decode_empty(ConstBytes bytes, const char* name);

}  // namespace zferry::wire
