#include "pipeline/outlet.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace zferry::pipeline {

Outlet::Outlet(std::unique_ptr<Destination> destination, std::size_t tail_bytes, Events events)
    : destination_(std::move(destination)), events_(std::move(events)), withheld_bytes_(tail_bytes) {
  destination_->on_early_end(lifeline_.guard([this](Error why) { fail(std::move(why)); }));
}

void Outlet::write(flow::Slice bytes) {
  if (over_) return;
  waiting_bytes_ += bytes.bytes.size();
  waiting_.push_back(std::move(bytes));
  tail_is_copy_ = false;
  write_next();
}

// The withheld bytes may be hundreds of blocks of a slow source: as a copy they hold none of the blocks' memory, and so
// no credit.
void Outlet::copy_tail() {
  struct Copy {
    std::vector<std::byte> bytes;
    Bytes view;
  };
  auto copy = std::make_shared<Copy>();
  for (const flow::Slice& slice : waiting_)
    copy->bytes.insert(copy->bytes.end(), slice.bytes.begin(), slice.bytes.end());
  copy->view = copy->bytes;
  waiting_.clear();
  waiting_.push_back({flow::Buffer(copy, &copy->view), copy->view});
  tail_is_copy_ = true;
}

void Outlet::release() {
  released_ = true;
  withheld_bytes_ = 0;
  write_next();
}

void Outlet::write_next() {
  if (writing_ || over_) return;
  if (waiting_bytes_ <= withheld_bytes_) {
    if (!released_ && !tail_is_copy_ && waiting_bytes_ > 0) copy_tail();
    if (!released_ || finishing_) return;
    finishing_ = true;
    return destination_->finish(lifeline_.guard([this](Result<wire::Completion> result) {
      if (over_) return;
      if (!result) return fail(result.take_error());
      over_ = true;
      events_.finished(*result);
    }));
  }
  writing_ = true;
  flow::Slice& head = waiting_.front();
  ConstBytes bytes = head.bytes.first(std::min<std::uint64_t>(head.bytes.size(), waiting_bytes_ - withheld_bytes_));
  destination_->stream().write(bytes, lifeline_.guard([this, keep = head.buffer](Result<std::size_t> count) {
    if (over_) return;
    if (!count) {
      destination_->explain(count.take_error(), lifeline_.guard([this](Error why) { fail(std::move(why)); }));
      return;
    }
    writing_ = false;
    waiting_bytes_ -= *count;
    written_bytes_ += *count;
    flow::Slice& done = waiting_.front();
    done.bytes = done.bytes.subspan(*count);
    if (done.bytes.empty()) waiting_.pop_front();
    // The listener may end this object from inside its events.
    auto still_here = lifeline_.guard([this] { events_.written(); });
    write_next();
    still_here();
  }));
}

void Outlet::fail(Error why) {
  if (std::exchange(over_, true)) return;
  waiting_.clear();
  events_.failed(std::move(why));
}

void Outlet::drop(std::function<void()> gone) {
  over_ = true;
  waiting_.clear();
  destination_->drop(std::move(gone));
}

}  // namespace zferry::pipeline
