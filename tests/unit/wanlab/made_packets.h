// Packets as a TUN device would hand them over, made up for the tests of wanlab.
#pragma once

#include <cstddef>
#include <cstdint>

#include "packet.h"

namespace zferry::wanlab {

struct MadeTcp {
  std::size_t payload_bytes = 100;
  std::size_t segment_bytes = 0;  // 0: no run, one packet
  bool v6 = false;
  std::uint16_t from_port = 1000, to_port = 2000;
  bool from_b = false;  // else from 10.77.0.1 to 10.77.0.2
  std::uint32_t seq = 5000, ack = 7000;
  std::uint8_t flags = kTcpAck;
  std::size_t option_bytes = 12;
};

/// Its payload counts up from byte to byte.
Packet make_tcp(const MadeTcp& shape);

/// A datagram of so many bytes on the wire, header included; at least 28.
Packet make_udp(std::size_t wire_bytes);

/// The sum of an Internet checksum over `data`; 0xFFFF where a checksum in it is right.
std::uint16_t internet_sum(std::span<const std::byte> data, std::uint32_t sum = 0);

}  // namespace zferry::wanlab
