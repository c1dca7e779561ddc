// A byte stream whose other side is the test: reads give what it gave, in pieces of random length; writes are kept, and
// complete when it lets them. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/lifeline.h"
#include "base/random.h"
#include "io/byte_stream.h"
#include "io/loop.h"

namespace zferry::pipeline::testing {

// What the test sees of a stream, also after its owner destroyed it.
struct FakeWire {
  std::vector<std::byte> to_read;  // what the other side said
  std::size_t read_so_far = 0;
  std::size_t read_bytes_max = 1 << 20;
  bool ended = false;
  std::optional<Error> read_error{};
  std::vector<std::byte> written;
  bool hold_writes = false;
  std::optional<Error> write_error{};
  bool write_ended = false;
  std::size_t unread = 0;
  bool destroyed = false;
  std::function<void()> wake{};  // after a change of the above
};

class FakeStream final : public io::ByteStream {
 public:
  FakeStream(io::Loop& loop, std::shared_ptr<FakeWire> wire, std::uint64_t seed)
      : loop_(loop), wire_(std::move(wire)), random_(seed) {
    wire_->wake = lifeline_.guard([this] { serve(); });
  }
  ~FakeStream() override { wire_->destroyed = true; }
  void read(Bytes into, io::SizeDone done) override {
    ZF_ASSERT(!reading_ && !into.empty());
    into_ = into;
    reading_ = std::move(done);
    serve();
  }
  void write(ConstBytes from, io::SizeDone done) override {
    ZF_ASSERT(!writing_ && !from.empty());
    wire_->written.insert(wire_->written.end(), from.begin(), from.end());
    written_ = from.size();
    writing_ = std::move(done);
    serve();
  }
  void shutdown_write() override { wire_->write_ended = true; }
  std::size_t unread() const override { return wire_->unread; }
  std::string name() const override { return "fake:1"; }

 private:
  void serve() {
    loop_.post(lifeline_.guard([this] {
      serve_write();
      auto still_here = lifeline_.guard([this] { serve_read(); });
      still_here();
    }));
  }
  void serve_write() {
    if (!writing_ || wire_->hold_writes) return;
    auto done = std::exchange(writing_, nullptr);
    if (wire_->write_error) return done(*wire_->write_error);
    done(written_);
  }
  void serve_read() {
    if (!reading_) return;
    std::size_t there = wire_->to_read.size() - wire_->read_so_far;
    if (there == 0 && !wire_->ended && !wire_->read_error) return;
    auto done = std::exchange(reading_, nullptr);
    if (there == 0 && wire_->read_error) return done(*wire_->read_error);
    std::size_t most = std::min({there, into_.size(), wire_->read_bytes_max});
    std::size_t count = most == 0 ? 0 : 1 + random_.below(most);
    std::copy_n(wire_->to_read.begin() + static_cast<std::ptrdiff_t>(wire_->read_so_far), count, into_.begin());
    wire_->read_so_far += count;
    done(count);
  }

  io::Loop& loop_;
  std::shared_ptr<FakeWire> wire_;
  SeededRandom random_;
  Bytes into_;
  io::SizeDone reading_;
  std::size_t written_ = 0;
  io::SizeDone writing_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline::testing
