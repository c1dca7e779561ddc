#include "made_packets.h"

#include <vector>

namespace zferry::wanlab {
namespace {

void put(std::vector<std::byte>& out, std::size_t at, std::uint64_t value, std::size_t bytes) {
  for (std::size_t index = 0; index < bytes; ++index) {
    out[at + index] = static_cast<std::byte>(value >> 8 * (bytes - 1 - index) & 0xFF);
  }
}

}  // namespace

Packet make_tcp(const MadeTcp& shape) {
  const std::size_t ip_bytes = shape.v6 ? 40 : 20;
  const std::size_t tcp_bytes = 20 + shape.option_bytes;
  const std::size_t at = kVnetBytes + ip_bytes;
  std::vector<std::byte> raw(at + tcp_bytes + shape.payload_bytes);
  raw[0] = std::byte{1};  // NEEDS_CSUM
  if (shape.segment_bytes != 0) {
    raw[1] = std::byte{static_cast<std::uint8_t>(shape.v6 ? 4 : 1)};
    raw[4] = static_cast<std::byte>(shape.segment_bytes & 0xFF);
    raw[5] = static_cast<std::byte>(shape.segment_bytes >> 8);
  }
  const unsigned last_from = shape.from_b ? 2 : 1;
  const unsigned last_to = shape.from_b ? 1 : 2;
  if (shape.v6) {
    put(raw, kVnetBytes, 0x60, 1);
    put(raw, kVnetBytes + 4, tcp_bytes + shape.payload_bytes, 2);
    put(raw, kVnetBytes + 6, 6, 1);
    put(raw, kVnetBytes + 8, 0xFD77, 2);
    put(raw, kVnetBytes + 23, last_from, 1);
    put(raw, kVnetBytes + 24, 0xFD77, 2);
    put(raw, kVnetBytes + 39, last_to, 1);
  } else {
    put(raw, kVnetBytes, 0x45, 1);
    put(raw, kVnetBytes + 2, ip_bytes + tcp_bytes + shape.payload_bytes, 2);
    put(raw, kVnetBytes + 4, 0xFFF0, 2);  // an identification that soon wraps around
    put(raw, kVnetBytes + 9, 6, 1);
    put(raw, kVnetBytes + 12, 0x0A4D0000 + last_from, 4);
    put(raw, kVnetBytes + 16, 0x0A4D0000 + last_to, 4);
  }
  put(raw, at, shape.from_port, 2);
  put(raw, at + 2, shape.to_port, 2);
  put(raw, at + 4, shape.seq, 4);
  put(raw, at + 8, shape.ack, 4);
  put(raw, at + 12, tcp_bytes / 4 << 4, 1);
  put(raw, at + 13, shape.flags, 1);
  for (std::size_t index = 0; index < shape.payload_bytes; ++index) put(raw, at + tcp_bytes + index, index & 0xFF, 1);
  return Packet(std::move(raw));
}

Packet make_udp(std::size_t wire_bytes) {
  std::vector<std::byte> raw(kVnetBytes + wire_bytes);
  put(raw, kVnetBytes, 0x45, 1);
  put(raw, kVnetBytes + 2, wire_bytes, 2);
  put(raw, kVnetBytes + 9, 17, 1);
  return Packet(std::move(raw));
}

std::uint16_t internet_sum(std::span<const std::byte> data, std::uint32_t sum) {
  for (std::size_t at = 0; at < data.size(); ++at) {
    sum += std::to_integer<std::uint32_t>(data[at]) << (at % 2 == 0 ? 8 : 0);
  }
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace zferry::wanlab
