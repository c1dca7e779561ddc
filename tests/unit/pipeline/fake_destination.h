// A destination that keeps what it is given and ends as the test says. One thread.
#pragma once

#include <memory>
#include <optional>

#include "pipeline/outlet.h"
#include "unit/pipeline/fake_stream.h"

namespace zferry::pipeline::testing {

// What the test sees of it, also afterwards.
struct FakeEnd {
  std::shared_ptr<FakeWire> wire = std::make_shared<FakeWire>();
  int finished = 0;
  int dropped = 0;
  Result<wire::Completion> how = wire::Completion::kDelivered;
  std::function<void(Error)> leave{};  // without a write
};

class FakeDestination final : public Destination {
 public:
  FakeDestination(io::Loop& loop, std::shared_ptr<FakeEnd> end)
      : loop_(loop), end_(std::move(end)), stream_(loop, end_->wire, 1) {}
  io::ByteStream& stream() override { return stream_; }
  void finish(std::function<void(Result<wire::Completion>)> done) override {
    ++end_->finished;
    loop_.post([done = std::move(done), how = end_->how] { done(how); });
  }
  void drop(std::function<void()> gone) override {
    ++end_->dropped;
    loop_.post(std::move(gone));
  }
  void on_early_end(std::function<void(Error)> tell) override { end_->leave = std::move(tell); }

 private:
  io::Loop& loop_;
  std::shared_ptr<FakeEnd> end_;
  FakeStream stream_;
};

}  // namespace zferry::pipeline::testing
