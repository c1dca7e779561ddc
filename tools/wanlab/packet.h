// One packet as a TUN device hands it over: a virtio-net header, then an IP packet. With segmentation offload one of
// them can stand for many packets of the wire (a run of TCP segments behind one header); this knows how many, how long
// each is on the wire, and cuts a shorter run out of it, so that a link can lose or delay what it likes at the grain of
// the MTU. Everything here is a pure function.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace zferry::wanlab {

inline constexpr std::size_t kVnetBytes = 10;  // struct virtio_net_hdr, as a TUN with IFF_VNET_HDR has it
inline constexpr std::size_t kRawBytesMax = kVnetBytes + 65536;  // the longest run that the kernel makes

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpCwr = 0x80;

/// One end of a TCP connection. IPv4 takes the first four bytes of the address.
struct Endpoint {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;
  bool v6 = false;
  auto operator<=>(const Endpoint&) const = default;
};

/// What the carrier wants to know of a TCP packet. A run has the numbers of its first segment and the payload of all.
struct TcpFields {
  Endpoint from, to;
  std::uint32_t seq = 0, ack = 0;
  std::uint8_t flags = 0;
  std::uint32_t payload_bytes = 0;

  /// The sequence number behind this packet.
  std::uint32_t end_seq() const {
    return seq + payload_bytes + ((flags & kTcpSyn) != 0 ? 1 : 0) + ((flags & kTcpFin) != 0 ? 1 : 0);
  }
};

class Packet {
 public:
  /// `raw` is the virtio-net header and the packet. What is not understood counts as one packet of its length.
  explicit Packet(std::vector<std::byte> raw);

  std::span<const std::byte> raw() const { return raw_; }
  unsigned segments() const { return segments_; }

  /// IP bytes on the wire of `count` segments from `first` on, each with its own header.
  std::size_t wire_bytes(unsigned first, unsigned count) const;
  std::size_t wire_bytes() const { return wire_bytes(0, segments_); }

  /// The run of `count` segments from `first` on, as a packet of its own. Precondition: first + count <= segments(),
  /// count > 0.
  Packet slice(unsigned first, unsigned count) const;

  /// Nothing where this is no TCP, or a fragment.
  std::optional<TcpFields> tcp() const;

  std::int64_t offered_ns = 0;  // when it came out of its TUN device; slices keep it
  std::int64_t arrives_ns = 0;  // when it is due at the other end

 private:
  std::size_t payload_bytes() const { return raw_.size() - kVnetBytes - header_bytes_; }

  std::vector<std::byte> raw_;
  std::size_t header_bytes_ = 0;   // IP and TCP header; 0 where the packet is one segment
  std::size_t segment_bytes_ = 0;  // payload of each segment but the last
  unsigned segments_ = 1;
};

/// A reset as `from` would send it to `to`, checksums filled in. With `ack`, it acknowledges that (what a connection
/// that is still being opened asks for).
Packet make_reset(const Endpoint& from, const Endpoint& to, std::uint32_t seq, std::optional<std::uint32_t> ack);

}  // namespace zferry::wanlab
