// Pump and Drain: move many bytes through streams in pieces of random sizes, and compare each byte. For contract tests;
// one thread.
#pragma once

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "io/byte_stream.h"

namespace zferry::io::contract {

// Writes all of `bytes` in pieces, then ends its direction. Stops at an error.
class Pump {
 public:
  Pump(ByteStream& stream, std::vector<std::byte> bytes, std::uint64_t seed, std::size_t piece_bytes_max)
      : stream_(stream), bytes_(std::move(bytes)), random_(seed), piece_bytes_max_(piece_bytes_max) {}
  void start() { next(); }
  bool over() const { return over_; }
  bool failed() const { return failed_; }
  std::size_t pieces() const { return pieces_; }

 private:
  void next() {
    if (at_ == bytes_.size()) {
      stream_.shutdown_write();
      over_ = true;
      return;
    }
    const auto piece = std::min<std::size_t>(1 + random_.below(piece_bytes_max_), bytes_.size() - at_);
    ++pieces_;
    stream_.write(ConstBytes(bytes_).subspan(at_, piece), [this, piece](Result<std::size_t> result) {
      if (!result.ok() || *result != piece) {
        over_ = failed_ = true;
        return;
      }
      at_ += piece;
      next();
    });
  }

  ByteStream& stream_;
  const std::vector<std::byte> bytes_;
  SeededRandom random_;
  const std::size_t piece_bytes_max_;
  std::size_t at_ = 0;
  std::size_t pieces_ = 0;
  bool over_ = false;
  bool failed_ = false;
};

// Reads pieces until the end and compares them with `expected`.
class Drain {
 public:
  Drain(ByteStream& stream, std::vector<std::byte> expected, std::uint64_t seed, std::size_t piece_bytes_max)
      : stream_(stream), expected_(std::move(expected)), random_(seed), buffer_(piece_bytes_max) {}
  void start() { next(); }
  bool over() const { return over_; }
  bool failed() const { return failed_; }
  std::size_t equal_bytes() const { return at_; }

 private:
  void next() {
    const std::size_t piece = 1 + random_.below(buffer_.size());
    stream_.read(Bytes(buffer_).first(piece), [this, piece](Result<std::size_t> result) {
      const bool sane = result.ok() && *result <= piece && *result <= expected_.size() - at_;
      const std::size_t count = sane ? *result : 0;
      failed_ = !sane || !std::equal(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(count),
                                     expected_.begin() + static_cast<std::ptrdiff_t>(at_));
      over_ = failed_ || count == 0;
      if (!failed_) at_ += count;
      if (!over_) next();
    });
  }

  ByteStream& stream_;
  const std::vector<std::byte> expected_;
  SeededRandom random_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0;
  bool over_ = false;
  bool failed_ = false;
};

}  // namespace zferry::io::contract
