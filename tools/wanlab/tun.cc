#include "tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "packet.h"

namespace zferry::wanlab {
namespace {

bool fails(std::string& why, const std::string& what) {
  why = what + ": " + std::strerror(errno);
  return false;
}

bool set_up(int device, const std::string& name, std::string& why) {
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name.c_str());
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(device, TUNSETIFF, &request) != 0) return fails(why, "TUNSETIFF " + name);
  int header_bytes = kVnetBytes;
  if (::ioctl(device, TUNSETVNETHDRSZ, &header_bytes) != 0) return fails(why, "TUNSETVNETHDRSZ");
  if (::ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0) return fails(why, "TUNSETOFFLOAD");
  return true;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

std::optional<Tun> Tun::make(const std::string& space, const std::string& device, std::string& why) {
  const Descriptor home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  const Descriptor there(::open(space.c_str(), O_RDONLY | O_CLOEXEC));
  if (!home.open() || !there.open()) return fails(why, space), std::nullopt;
  if (::setns(there.number(), CLONE_NEWNET) != 0) return fails(why, "setns " + space), std::nullopt;
  Tun tun;
  tun.name_ = device;
  tun.buffer_.resize(kRawBytesMax);
  tun.device_ = Descriptor(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  const bool made = tun.device_.open() ? set_up(tun.number(), device, why) : fails(why, "/dev/net/tun");
  tun.counters_ = Descriptor(::open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC));  // shows this namespace ever after
  if (::setns(home.number(), CLONE_NEWNET) != 0) return fails(why, "setns back"), std::nullopt;
  if (!made) return std::nullopt;
  return tun;
}

std::span<const std::byte> Tun::read() {
  const ssize_t got = ::read(number(), buffer_.data(), buffer_.size());
  return got > 0 ? std::span(buffer_).first(static_cast<std::size_t>(got)) : std::span<std::byte>();
}

bool Tun::write(std::span<const std::byte> raw) {
  return ::write(number(), raw.data(), raw.size()) == static_cast<ssize_t>(raw.size());
}

std::uint64_t Tun::overruns() const {
  std::array<char, 4096> text{};
  const ssize_t got = ::pread(counters_.number(), text.data(), text.size() - 1, 0);
  if (got <= 0) return 0;
  const std::string_view all(text.data(), static_cast<std::size_t>(got));
  const std::size_t at = all.find(name_ + ":");
  if (at == std::string_view::npos) return 0;
  unsigned long long dropped = 0;  // the twelfth number: dropped when sent
  std::sscanf(text.data() + at + name_.size() + 1, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &dropped);
  return dropped;
}

}  // namespace zferry::wanlab
