// Every bound of the engine in one place, and the sum of memory that follows from them (docs/ARCHITECTURE.md,
// "Memory"). Nothing that a peer, a stream or a disk says may pass one of these unchecked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace zferry::limits {

inline constexpr std::size_t KiB = 1024;
inline constexpr std::size_t MiB = 1024 * KiB;

// The stream and the pipeline.
inline constexpr std::size_t kBlockBytesMax = 1 * MiB;     // raw bytes of one block; also the length of a leaf
inline constexpr std::size_t kFirstBlockBytes = 8 * KiB;   // of a stream; the next ones double
inline constexpr std::size_t kShortBlockBytes = 64 * KiB;  // on the slowest lanes
inline constexpr std::size_t kBlockPiecesMax = 1024;       // that chunks of a block lie in, keys among them
inline constexpr std::size_t kFrameBytesMax = 256 * KiB;   // plaintext of one frame
inline constexpr std::size_t kControlBytesMax = 4 * KiB;   // plaintext of any frame that is not DATA
inline constexpr std::size_t kTailBytes =
    std::size_t{2} * 312;  // what the target withholds until FINAL: two END records
inline constexpr std::uint64_t kBlocksMax = std::uint64_t{1} << 62;

// ZFS streams.
inline constexpr std::size_t kWritePayloadBytesMax = 16 * MiB;
inline constexpr std::size_t kBeginPayloadBytesMax = 256 * MiB;  // streamed, never held
inline constexpr std::size_t kOuterListBytesMax =
    16 * MiB;  // a compound stream's list of snapshots, held to check arrivals
inline constexpr std::size_t kOtherPayloadBytesMax = 16 * MiB;
inline constexpr int kNvlistDepthMax = 16;

// The link.
inline constexpr std::size_t kFirstMessageBytes = 512;  // handshake messages 1 and 2, both of this one size
inline constexpr int kUnauthenticatedMax = 32;          // connections that have proved nothing yet
inline constexpr int kUnauthenticatedPerAddressMax = 8;
inline constexpr int kUnauthenticatedPenalisedMax = 2;  // for an address that keeps failing
inline constexpr int kFailuresBeforePenalty = 10;       // within kPenaltyWindow
inline constexpr std::chrono::seconds kPenaltyWindow{60};
inline constexpr std::chrono::seconds kHandshakeGrace{5};
inline constexpr std::chrono::seconds kConnectPatience{10};
inline constexpr std::chrono::milliseconds kHeartbeatEvery{500};  // so that a peer may set a short time-out by itself
inline constexpr std::chrono::seconds kSilenceMax{12};            // no byte for so long: the lane is dead
inline constexpr std::chrono::seconds kSilenceMaxMin{2};          // what --peer-timeout may set it to
inline constexpr std::chrono::seconds kSilenceMaxMax{600};
// A frame that takes longer to come is one whose length was damaged on the way: heartbeats would fill it for hours.
inline constexpr std::chrono::minutes kFrameTimeMax{5};
inline constexpr std::chrono::seconds kLinger{60};  // a target waits so long for DONE

// Lanes, and getting them back.
inline constexpr std::size_t kLanesMax = 16;    // of one session
inline constexpr std::size_t kDialsMax = 4;     // at a time: less than one address may hold unproved
inline constexpr std::size_t kVisitorsMax = 4;  // lanes at a target that belong to no session yet
inline constexpr std::chrono::milliseconds kSuspectAfter{
    2000};  // a lane so silent gets no new block, and a replacement
inline constexpr std::chrono::milliseconds kRedialFirst{100};
inline constexpr std::chrono::milliseconds kRedialMost{1000};  // whatever the outage: a packet a second costs nobody
inline constexpr std::chrono::milliseconds kChallenge{2000};   // so long an older run may show that it lives
inline constexpr std::chrono::hours kGiveUpAfter{12};          // a night
inline constexpr std::chrono::minutes kHoldLonger{10};         // than the source's patience, that of the target is
inline constexpr std::chrono::minutes kAnswerPatience{15};     // for a FINAL-ACK, once everything is sent
inline constexpr std::size_t kUnsentBytes = 512 * KiB;   // of a lane, in the kernel, beyond what TCP has in flight
inline constexpr std::size_t kAckWordsMax = 16;          // of the bitmap in an ACK
inline constexpr std::size_t kErrorTextBytesMax = 1024;  // of a peer's words
inline constexpr std::size_t kNameBytesMax = 255;        // session names

// The store.
inline constexpr std::uint64_t kSegmentBytes = 64 * MiB;  // after which a new one is begun; what is applied goes by it
inline constexpr std::uint64_t kCapacityMin = 64 * MiB;   // segments of a small store are an eighth of it
inline constexpr std::uint64_t kStoreReserveBytes = 64 * MiB;  // of the disk, that a store leaves to others
inline constexpr std::chrono::seconds kAppliedEvery{5};        // how often ZFS is asked how far it is: its own rhythm
inline constexpr std::chrono::minutes kZfsAnswerPatience{5};   // of `zfs get` and its like
inline constexpr std::size_t kZfsAnswerBytesMax = 16 * MiB;    // of `zfs get -r`: some 800,000 snapshots

// Of a store's index, for a TiB of its capacity, and however small it is: 64 MiB are for chunks of 128 KiB.
inline constexpr std::uint64_t kIndexBytesOfTiB = 256 * MiB;
inline constexpr std::uint64_t kIndexBytesLeast = 64 * MiB;

// Memory of one end.
//
// A source's pool holds raw and packed forms of blocks alike; a stored block has one buffer for both. A target grants a
// window of so many bytes of the stream, in blocks of any length; it keeps them packed, with a buffer a lane beyond the
// window, and unpacks those near its head. What is in the window is on its way, in a kernel, or in the pool: so pools
// keep but a little of what is free, and the window is counted once, with a quarter more for what the kernel adds. It
// is some seven times what a link of 1 Gbit/s and 80 ms holds: lanes that recover from losses are so far behind the
// others (docs/PERFORMANCE.md, "The window").
inline constexpr std::size_t kWindowBytes = 64 * MiB;
inline constexpr std::size_t kWindowBlocks = 384;
inline constexpr std::size_t kSourceBuffers = 83;
inline constexpr std::size_t kUnderWayLeast = 24 * MiB;  // of a source's pool, whatever the link
inline constexpr std::size_t kReadAheadBlocks = 8;       // of a source, that have no packed form's room yet
// Where chunks are looked for: what a source keeps free for packing by answers; what a target puts blocks together in,
// and what it keeps at hand of what it found. (The index is apart: 64 MiB for a TiB of chunks of 128 KiB.)
inline constexpr std::size_t kAnsweredBuffers = 6;
inline constexpr std::size_t kResolvesMax = 3;
inline constexpr std::size_t kPlainCacheBytes = 4 * MiB;
inline constexpr std::size_t kFooterCacheBytes = 4 * MiB;
inline constexpr std::size_t kKeptRecipeBytes = 2 * MiB;  // that the store has not written
inline constexpr std::size_t kNamedBytes = 3 * MiB;       // names, what was found: 2.4 for a window of records of 4 KiB
inline constexpr std::size_t kResolveBytes = 2 * kBlockBytesMax + 128 * KiB;  // beside its buffer: literals, skeleton
inline constexpr std::size_t kStoreReaderBytes = 3 * kBlockBytesMax;
inline constexpr std::size_t kUnpackedBytes = 8 * MiB;
inline constexpr std::size_t kBufferBytes = kBlockBytesMax;  // a packed block is never longer than this
inline constexpr std::size_t kGrainsOfBuffer = 64;   // lengths of buffers are multiples of this part of the longest
inline constexpr std::size_t kIdleBytes = 14 * MiB;  // of a pool, kept for what comes next
// A lane has two sealed blocks at the source, and what the kernel sends (by the system's default at most 4 MiB); at the
// target, two reads of what is on its way in, shorter ones where there are many lanes.
inline constexpr std::size_t kLaneSendBuffers = 2;
inline constexpr std::size_t kLaneSendBytes = kBlockBytesMax + 8 * KiB;  // a sealed block
inline constexpr std::size_t kLaneKernelBytes = 4 * MiB;
inline constexpr std::size_t kKernelBytesLeast = 32 * MiB;  // that few lanes may have together, where they need it
inline constexpr std::size_t kLaneReceiveBuffers = 2;
inline constexpr std::size_t kLaneReceiveBytes = kBlockBytesMax + 512 * KiB;
inline constexpr std::size_t kLongReads = 4;  // lanes that have such; further ones have
inline constexpr std::size_t kLaneReceiveBytesShort = 2 * kFrameBytesMax;
// Lanes of no session: they get no blocks; those that are told to go have a small buffer to be heard by.
inline constexpr std::size_t kGuestBytes = kVisitorsMax * 4 * kFrameBytesMax + (kLanesMax + kVisitorsMax) * 64 * KiB;
inline constexpr std::size_t kWorkersMax = 16;
// A zstd context at level 7 for 1 MiB (at 9 to 12: 13), and a recipe.
inline constexpr std::size_t kPackerBytes = 8 * MiB + 128 * KiB;
inline constexpr std::size_t kUnpackerBytes = 256 * KiB;
inline constexpr std::size_t kProgramBytes = 20 * MiB;  // code, stacks, allocator slack

inline constexpr std::size_t kSourceBytesMax(std::size_t lanes, std::size_t workers) {
  std::size_t kernel = lanes * kLaneKernelBytes < kKernelBytesLeast ? kKernelBytesLeast : lanes * kLaneKernelBytes;
  return kSourceBuffers * kBufferBytes + lanes * kLaneSendBuffers * kLaneSendBytes + kernel + workers * kPackerBytes +
         kOuterListBytesMax + kProgramBytes;
}
inline constexpr std::size_t kTargetBytesMax(std::size_t lanes, std::size_t workers) {
  std::size_t long_reads = lanes < kLongReads ? lanes : kLongReads;
  return kWindowBytes * 5 / 4 + kWindowBlocks * kBlockBytesMax / kGrainsOfBuffer + lanes * kBufferBytes + kIdleBytes +
         kUnpackedBytes + kResolvesMax * (kBufferBytes + kResolveBytes) + kPlainCacheBytes + kFooterCacheBytes +
         kKeptRecipeBytes + kNamedBytes + kStoreReaderBytes +
         kLaneReceiveBuffers * (long_reads * kLaneReceiveBytes + (lanes - long_reads) * kLaneReceiveBytesShort) +
         kGuestBytes + workers * kUnpackerBytes + kOuterListBytesMax + kProgramBytes;
}
// A source reads until it knows what its stream is: the first BEGIN with as much of its payload as identifies it must
// fit what a source may hold at first.
static_assert(kUnderWayLeast >= kOuterListBytesMax + 2 * kBlockBytesMax);
static_assert(kSourceBytesMax(4, 4) <= 192 * MiB && kTargetBytesMax(4, 4) <= 192 * MiB,
              "four lanes must fit the promise of 192 MiB an end; more are dialled where a long link gains by them");

}  // namespace zferry::limits
