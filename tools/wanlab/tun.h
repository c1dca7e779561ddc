// A TUN device inside a network namespace, with segmentation offload: one read gives up to 64 KiB of one TCP
// connection, and what was read from one device may be written to another as it is. The device goes when this goes. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace zferry::wanlab {

/// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int number() const { return number_; }
  bool open() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

class Tun {
 public:
  /// Makes `device` in the namespace named by the file `space`. Errors are told in `why`.
  static std::optional<Tun> make(const std::string& space, const std::string& device, std::string& why);

  int number() const { return device_.number(); }

  /// The next packet, virtio-net header first, in a buffer that the next call uses again; nothing where none waits.
  std::span<const std::byte> read();

  /// Whether the kernel took it.
  bool write(std::span<const std::byte> raw);

  /// Packets that the kernel dropped before they could be read, since this program was too slow. Not of the model.
  std::uint64_t overruns() const;

 private:
  Descriptor device_, counters_;
  std::string name_;
  std::vector<std::byte> buffer_;
};

}  // namespace zferry::wanlab
