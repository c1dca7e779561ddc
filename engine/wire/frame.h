// The frame: what is sealed and put on a lane. docs/PROTOCOL.md, "Frames". This header is the format; next_frame() cuts
// a byte flow into frames, seal/lane_cipher.h seals and opens them.
//
//   u32 length   of what follows the header: ciphertext and tag; 16 .. 16 + kFrameBytesMax
//   u8  type
//   u8  check[3] of the five bytes before: a length that was damaged on the way is told at once, not waited for
//   ciphertext, 16 bytes of tag; associated data: the 8 bytes above and the lane's sequence number (u64)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"

namespace zferry::wire {

inline constexpr std::size_t kFrameHeaderBytes = 8;
inline constexpr std::size_t kFrameOverheadBytes = kFrameHeaderBytes + 16;

enum class FrameType : std::uint8_t {
  kHeartbeat = 1,  // either way
  kOpen = 2,       // source -> target: what is coming
  kOpened = 3,     // target -> source: how it will be taken
  kBlock = 4,      // source -> target: the block that the following DATA frames of this lane carry
  kData = 5,       // source -> target: the next bytes of that block's packed form
  kAck = 6,        // target -> source: received, delivered, credit
  kFinal = 7,      // source -> target: the stream is whole: length, digest, producer's exit
  kFinalAck = 8,   // target -> source: it is applied, or delivered, or was already
  kDone = 9,       // source -> target: the FINAL-ACK arrived
  kAbort = 10,     // either way: it failed, why, and that it must not be completed
  kJoin = 11,      // the dialler's first frame: proves that it is there, and which session the lane is for
  kLeave = 12,     // source -> target: it goes, in good order; the same command will continue
  kLanes = 13,     // source -> target: how many lanes it wants now; and whether this one goes
  kChunks = 14,    // source -> target: the ids of the chunks that a block is made of
  kNeed = 15,      // target -> source: which of them it lacks
};
std::string_view frame_type_name(FrameType type);

struct FrameHeader {
  FrameType type;
  std::size_t sealed_bytes;  // ciphertext and tag
};

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(FrameType type, std::size_t plaintext_bytes);
// Of any length and type, also of those that decode_frame_header() refuses.
std::array<std::byte, kFrameHeaderBytes> any_frame_header(std::uint32_t length, std::uint8_t type);
// Errors: kProtocol (unknown type, length out of bounds for the type, a check that does not fit).
Result<FrameHeader> decode_frame_header(ConstBytes header);  // REQUIRES: kFrameHeaderBytes

// The next whole frame at the front of `bytes`, if it is all there; its sealed part is sealed_bytes long and stands
// kFrameHeaderBytes into `bytes`. Nothing: more bytes are needed. Errors as decode_frame_header's.
Result<std::optional<FrameHeader>> next_frame(ConstBytes bytes);

}  // namespace zferry::wire
