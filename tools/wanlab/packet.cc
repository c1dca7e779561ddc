#include "packet.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace zferry::wanlab {
namespace {

constexpr std::uint8_t kGsoNone = 0;
constexpr std::uint8_t kGsoTcpV4 = 1;
constexpr std::uint8_t kGsoTcpV6 = 4;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::size_t kIp4Bytes = 20;
constexpr std::size_t kIp6Bytes = 40;
constexpr std::size_t kTcpBytes = 20;

std::uint8_t get8(std::span<const std::byte> in, std::size_t at) { return std::to_integer<std::uint8_t>(in[at]); }
std::uint16_t get16(std::span<const std::byte> in, std::size_t at) {
  return static_cast<std::uint16_t>(get8(in, at) << 8 | get8(in, at + 1));
}
std::uint32_t get32(std::span<const std::byte> in, std::size_t at) {
  return static_cast<std::uint32_t>(get16(in, at)) << 16 | get16(in, at + 2);
}
void put8(std::span<std::byte> out, std::size_t at, unsigned value) { out[at] = static_cast<std::byte>(value); }
void put16(std::span<std::byte> out, std::size_t at, unsigned value) {
  put8(out, at, value >> 8 & 0xFF);
  put8(out, at + 1, value & 0xFF);
}
void put32(std::span<std::byte> out, std::size_t at, std::uint32_t value) {
  put16(out, at, value >> 16);
  put16(out, at + 2, value & 0xFFFF);
}
// The virtio-net header is in the order of the host, which is little-endian wherever this runs.
std::uint16_t get16_host(std::span<const std::byte> in, std::size_t at) {
  return static_cast<std::uint16_t>(get8(in, at) | get8(in, at + 1) << 8);
}
void put16_host(std::span<std::byte> out, std::size_t at, unsigned value) {
  put8(out, at, value & 0xFF);
  put8(out, at + 1, value >> 8 & 0xFF);
}

struct Layout {
  bool v6 = false;
  std::size_t ip_bytes = 0;   // IP header
  std::size_t tcp_bytes = 0;  // TCP header
};

/// Where the headers of a TCP packet stand in `ip`. Nothing for anything else: fragments and extension headers too.
std::optional<Layout> tcp_layout(std::span<const std::byte> ip) {
  if (ip.empty()) return std::nullopt;
  Layout layout;
  const unsigned version = get8(ip, 0) >> 4;
  if (version == 4) {
    layout.ip_bytes = (get8(ip, 0) & 0xFU) * 4;
    if (layout.ip_bytes < kIp4Bytes || ip.size() < layout.ip_bytes + kTcpBytes) return std::nullopt;
    if (get8(ip, 9) != kProtocolTcp || (get16(ip, 6) & 0x3FFF) != 0) return std::nullopt;
  } else if (version == 6) {
    layout.v6 = true;
    layout.ip_bytes = kIp6Bytes;
    if (ip.size() < kIp6Bytes + kTcpBytes || get8(ip, 6) != kProtocolTcp) return std::nullopt;
  } else {
    return std::nullopt;
  }
  layout.tcp_bytes = (get8(ip, layout.ip_bytes + 12) >> 4) * 4U;
  if (layout.tcp_bytes < kTcpBytes || ip.size() < layout.ip_bytes + layout.tcp_bytes) return std::nullopt;
  return layout;
}

std::uint32_t sum16(std::span<const std::byte> data, std::uint32_t sum = 0) {
  for (std::size_t at = 0; at + 1 < data.size(); at += 2) sum += get16(data, at);
  if (data.size() % 2 != 0) sum += static_cast<std::uint32_t>(get8(data, data.size() - 1)) << 8;
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// The sum over the pseudo-header of a TCP packet whose headers stand in `ip`.
std::uint32_t pseudo_sum(std::span<const std::byte> ip, const Layout& layout, std::size_t tcp_length) {
  const auto addresses = layout.v6 ? ip.subspan(8, 32) : ip.subspan(12, 8);
  return sum16(addresses) + kProtocolTcp + static_cast<std::uint32_t>(tcp_length);
}

/// Lengths and sums of an IP packet whose length has changed.
void finish_ip(std::span<std::byte> ip, const Layout& layout) {
  if (layout.v6) {
    put16(ip, 4, static_cast<unsigned>(ip.size() - kIp6Bytes));
    return;
  }
  put16(ip, 2, static_cast<unsigned>(ip.size()));
  put16(ip, 10, 0);
  put16(ip, 10, 0xFFFFU & ~fold(sum16(ip.first(layout.ip_bytes))));
}

}  // namespace

Packet::Packet(std::vector<std::byte> raw) : raw_(std::move(raw)) {
  if (raw_.size() <= kVnetBytes) return;
  const std::uint8_t gso = get8(raw_, 1);
  const std::size_t segment_bytes = get16_host(raw_, 4);
  if ((gso != kGsoTcpV4 && gso != kGsoTcpV6) || segment_bytes == 0) return;
  const auto layout = tcp_layout(std::span(raw_).subspan(kVnetBytes));
  if (!layout) return;
  const std::size_t payload = raw_.size() - kVnetBytes - layout->ip_bytes - layout->tcp_bytes;
  if (payload <= segment_bytes) return;
  header_bytes_ = layout->ip_bytes + layout->tcp_bytes;
  segment_bytes_ = segment_bytes;
  segments_ = static_cast<unsigned>((payload + segment_bytes - 1) / segment_bytes);
}

std::size_t Packet::wire_bytes(unsigned first, unsigned count) const {
  if (segments_ == 1) return raw_.size() <= kVnetBytes ? 0 : raw_.size() - kVnetBytes;
  const std::size_t from = first * segment_bytes_;
  const std::size_t to = std::min((first + std::size_t{count}) * segment_bytes_, payload_bytes());
  return count * header_bytes_ + (to - from);
}

Packet Packet::slice(unsigned first, unsigned count) const {
  assert(count > 0 && first + count <= segments_);
  if (count == segments_) return *this;
  const std::size_t from = first * segment_bytes_;
  const std::size_t to = std::min((first + std::size_t{count}) * segment_bytes_, payload_bytes());
  const std::size_t headers = kVnetBytes + header_bytes_;
  std::vector<std::byte> out;
  out.reserve(headers + to - from);
  out.assign(raw_.begin(), raw_.begin() + static_cast<std::ptrdiff_t>(headers));
  out.insert(out.end(), raw_.begin() + static_cast<std::ptrdiff_t>(headers + from),
             raw_.begin() + static_cast<std::ptrdiff_t>(headers + to));
  if (count == 1) {
    put8(out, 1, kGsoNone);
    put16_host(out, 4, 0);
  }
  const auto ip = std::span(out).subspan(kVnetBytes);
  const Layout layout = *tcp_layout(ip);
  if (!layout.v6)
    put16(ip, 4, (get16(ip, 4) + first) & 0xFFFFU);  // the identification counts up from segment to segment
  finish_ip(ip, layout);
  const auto tcp = ip.subspan(layout.ip_bytes);
  put32(tcp, 4, get32(tcp, 4) + static_cast<std::uint32_t>(from));
  unsigned flags = get8(tcp, 13);
  if (first > 0) flags &= ~unsigned{kTcpCwr};
  if (first + count < segments_) flags &= ~unsigned{kTcpFin | kTcpPsh};
  put8(tcp, 13, flags);
  // NEEDS_CSUM, which every run has: the field holds the pseudo-header's sum, and who sends it out adds the rest.
  put16(tcp, 16, fold(pseudo_sum(ip, layout, tcp.size())));
  Packet packet(std::move(out));
  packet.offered_ns = offered_ns;
  return packet;
}

std::optional<TcpFields> Packet::tcp() const {
  if (raw_.size() <= kVnetBytes) return std::nullopt;
  const auto ip = std::span(raw_).subspan(kVnetBytes);
  const auto layout = tcp_layout(ip);
  if (!layout) return std::nullopt;
  const auto tcp = ip.subspan(layout->ip_bytes);
  TcpFields fields;
  fields.from.v6 = fields.to.v6 = layout->v6;
  const std::size_t address_bytes = layout->v6 ? 16 : 4;
  const std::size_t at = layout->v6 ? 8 : 12;
  std::memcpy(fields.from.address.data(), ip.data() + at, address_bytes);
  std::memcpy(fields.to.address.data(), ip.data() + at + address_bytes, address_bytes);
  fields.from.port = get16(tcp, 0);
  fields.to.port = get16(tcp, 2);
  fields.seq = get32(tcp, 4);
  fields.ack = get32(tcp, 8);
  fields.flags = get8(tcp, 13);
  fields.payload_bytes = static_cast<std::uint32_t>(tcp.size() - layout->tcp_bytes);
  return fields;
}

Packet make_reset(const Endpoint& from, const Endpoint& to, std::uint32_t seq, std::optional<std::uint32_t> ack) {
  const Layout layout{from.v6, from.v6 ? kIp6Bytes : kIp4Bytes, kTcpBytes};
  std::vector<std::byte> raw(kVnetBytes + layout.ip_bytes + kTcpBytes);
  const auto ip = std::span(raw).subspan(kVnetBytes);
  const std::size_t address_bytes = layout.v6 ? 16 : 4;
  const std::size_t at = layout.v6 ? 8 : 12;
  std::memcpy(ip.data() + at, from.address.data(), address_bytes);
  std::memcpy(ip.data() + at + address_bytes, to.address.data(), address_bytes);
  if (layout.v6) {
    put8(ip, 0, 0x60);
    put8(ip, 6, kProtocolTcp);
    put8(ip, 7, 64);
  } else {
    put8(ip, 0, 0x45);
    put16(ip, 6, 0x4000);  // don't fragment
    put8(ip, 8, 64);
    put8(ip, 9, kProtocolTcp);
  }
  finish_ip(ip, layout);
  const auto tcp = ip.subspan(layout.ip_bytes);
  put16(tcp, 0, from.port);
  put16(tcp, 2, to.port);
  put32(tcp, 4, seq);
  put32(tcp, 8, ack.value_or(0));
  put8(tcp, 12, (kTcpBytes / 4) << 4);
  put8(tcp, 13, ack ? kTcpRst | kTcpAck : kTcpRst);
  put16(tcp, 16, 0xFFFFU & ~fold(sum16(tcp, pseudo_sum(ip, layout, tcp.size()))));
  return Packet(std::move(raw));
}

}  // namespace zferry::wanlab
