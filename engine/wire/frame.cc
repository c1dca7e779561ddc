// The frame header, there and back; the header file gives its layout.
#include "wire/frame.h"

#include <algorithm>

namespace zferry::wire {
namespace {

constexpr std::size_t kSealTagBytes = kFrameOverheadBytes - kFrameHeaderBytes;

Error bad_header(const char* why) { return {Fault::kProtocol, std::string("frame: ") + why, {}}; }

bool known(std::uint8_t type) {
  return type >= static_cast<std::uint8_t>(FrameType::kHeartbeat) &&
         type <= static_cast<std::uint8_t>(FrameType::kNeed);
}

bool fits(FrameType type, std::size_t plaintext_bytes) {
  if (type == FrameType::kData) return plaintext_bytes >= 1 && plaintext_bytes <= limits::kFrameBytesMax;
  return plaintext_bytes <= limits::kControlBytesMax;
}

// The top 24 bits of a multiplication: every single bit of length and type reaches them, so no flipped bit passes. It
// guards against accidents alone; against anything else the tag does.
std::array<std::byte, 3> header_check(std::uint32_t length, std::uint8_t type) {
  const std::uint64_t product = (std::uint64_t{type} << 32 | length) * 0x9e3779b97f4a7c15;
  std::array<std::byte, 3> check{};
  for (std::size_t i = 0; i < check.size(); ++i) check[i] = static_cast<std::byte>(product >> (40 + 8 * i));
  return check;
}

}  // namespace

std::string_view frame_type_name(FrameType type) {
  switch (type) {
    case FrameType::kHeartbeat: return "HEARTBEAT";
    case FrameType::kOpen: return "OPEN";
    case FrameType::kOpened: return "OPENED";
    case FrameType::kBlock: return "BLOCK";
    case FrameType::kData: return "DATA";
    case FrameType::kAck: return "ACK";
    case FrameType::kFinal: return "FINAL";
    case FrameType::kFinalAck: return "FINAL-ACK";
    case FrameType::kDone: return "DONE";
    case FrameType::kAbort: return "ABORT";
    case FrameType::kJoin: return "JOIN";
    case FrameType::kLeave: return "LEAVE";
    case FrameType::kLanes: return "LANES";
    case FrameType::kChunks: return "CHUNKS";
    case FrameType::kNeed: return "NEED";
  }
  return "unknown";
}

std::array<std::byte, kFrameHeaderBytes> any_frame_header(std::uint32_t length, std::uint8_t type) {
  std::array<std::byte, kFrameHeaderBytes> header{};
  store_at(Bytes(header), 0, length);
  store_at(Bytes(header), 4, type);
  const auto check = header_check(length, type);
  std::copy(check.begin(), check.end(), header.begin() + 5);
  return header;
}

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(FrameType type, std::size_t plaintext_bytes) {
  ZF_ASSERT(known(static_cast<std::uint8_t>(type)) && fits(type, plaintext_bytes));
  return any_frame_header(static_cast<std::uint32_t>(plaintext_bytes + kSealTagBytes), static_cast<std::uint8_t>(type));
}

Result<FrameHeader> decode_frame_header(ConstBytes header) {
  const auto sealed_bytes = load<std::uint32_t>(header, 0);
  const auto type_byte = load<std::uint8_t>(header, 4);
  const auto check = header_check(sealed_bytes, type_byte);
  if (!std::equal(check.begin(), check.end(), header.begin() + 5)) return bad_header("its check is wrong");
  if (!known(type_byte)) return bad_header("unknown type");
  const auto type = static_cast<FrameType>(type_byte);
  if (sealed_bytes < kSealTagBytes || !fits(type, sealed_bytes - kSealTagBytes))
    return bad_header("length out of bounds");
  return FrameHeader{type, sealed_bytes};
}

Result<std::optional<FrameHeader>> next_frame(ConstBytes bytes) {
  if (bytes.size() < kFrameHeaderBytes) return std::optional<FrameHeader>{};
  Result<FrameHeader> header = decode_frame_header(bytes.first(kFrameHeaderBytes));
  if (!header) return header.take_error();
  if (bytes.size() - kFrameHeaderBytes < header->sealed_bytes) return std::optional<FrameHeader>{};
  return std::optional<FrameHeader>(*header);
}

}  // namespace zferry::wire
