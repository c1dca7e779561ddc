#include "pipeline/receive_pipeline.h"

#include <algorithm>
#include <utility>

#include "pack/pack.h"

namespace zferry::pipeline {
namespace {

// The expensive stages of one block. Plain: everything comes in, everything goes out.
void work(IncomingBlock& block, const seal::SecretBytes& leaf_key, std::size_t leaf_bytes, const flow::Buffer& room) {
  if (block.header.encoding == wire::Encoding::kStored) {
    block.raw = std::move(block.packed);
  } else {
    Bytes raw = room->first(block.header.raw_bytes);
    block.unpacked = pack::unpack(block.packed.bytes, raw);
    block.raw = {room, raw};
  }
  block.packed = {};
  if (block.unpacked && block.raw.bytes.size() == leaf_bytes && block.header.offset % leaf_bytes == 0)
    block.leaf = seal::leaf_of(leaf_key, block.header.offset / leaf_bytes, block.raw.bytes);
}

// How far from the head a block may be to be unpacked.
std::size_t near_blocks(std::size_t block_bytes, const ReceivePipeline::Window& window) {
  return std::clamp<std::size_t>(window.blocks, 1, std::max<std::size_t>(2, limits::kUnpackedBytes / block_bytes));
}

// Another run of the source may know another thing of its producer.
bool same_end(const wire::Final& one, const wire::Final& other) {
  return one.stream_bytes == other.stream_bytes && one.blocks == other.blocks && one.digest == other.digest;
}

}  // namespace

ReceivePipeline::ReceivePipeline(Host& host, std::unique_ptr<Destination> destination, seal::SecretBytes leaf_key,
                                 std::size_t block_bytes, Window window, Events events)
    : ReceivePipeline(host, std::move(destination), leaf_key.copy(), block_bytes, window, std::move(events),
                      StreamState::begin(leaf_key.copy(), block_bytes), nullptr) {}

ReceivePipeline::ReceivePipeline(Host& host, std::unique_ptr<Destination> destination, seal::SecretBytes leaf_key,
                                 std::size_t block_bytes, Window window, Events events, StreamState from,
                                 std::unique_ptr<zstream::Remainder> rest)
    : host_(host),
      block_bytes_(block_bytes),
      window_(window),
      events_(std::move(events)),
      near_bytes_(near_blocks(block_bytes, window) * block_bytes),
      // A buffer more where many short blocks may be near: theirs are up to a grain longer than what they hold.
      raw_pool_(near_blocks(block_bytes, window) + (near_blocks(block_bytes, window) < window.blocks ? 1 : 0),
                block_bytes),
      leaf_key_(std::make_shared<const seal::SecretBytes>(std::move(leaf_key))),
      at_(std::move(from)),
      candidates_(block_bytes),
      rest_(std::move(rest)),
      first_number_(at_.number),
      received_(at_.number),
      delivered_(at_.number),
      delivered_bytes_(at_.chain.stream_bytes()),
      queue_(at_.number),
      outlet_(std::move(destination), limits::kTailBytes,
              {[this] { note_written(); }, [this](Error why) { events_.failed(std::move(why)); },
               [this](wire::Completion how) { events_.finished(how); }}) {
  raw_pool_.set_on_return(
      [&loop = host_.loop, resume = lifeline_.guard([this] { start_work(); })] { loop.post(resume); });
}

void ReceivePipeline::broke(Error why) {
  if (!std::exchange(broken_, true)) events_.broke(std::move(why));
}

void ReceivePipeline::take(const wire::Block& header, flow::Slice packed) {
  if (broken_ || rewound_) return;
  if (final_ && header.number >= final_->blocks) return broke({Fault::kProtocol, "a block came from beyond FINAL", {}});
  if (header.number >= credit()) return broke({Fault::kProtocol, "the source sent a block beyond its credit", {}});
  if (header.raw_bytes > block_bytes_) return broke({Fault::kProtocol, "a block is longer than was agreed", {}});
  if (queue_.has(header.number)) return;  // a copy: the first one won
  auto block = std::make_shared<IncomingBlock>();
  block->header = header;
  block->packed = std::move(packed);
  queue_.fill_any(header.number, block);
  while (received_ < queue_.end() && queue_.has(received_)) ++received_;
  waiting_.emplace(header.number, std::move(block));
  start_work();
  events_.progress();
}

// Jobs of its blocks may still end: nobody is told of anything any more.
void ReceivePipeline::drop(std::function<void()> gone) {
  broken_ = true;
  verdict_ = nullptr;
  rewound_ = nullptr;
  outlet_.drop(std::move(gone));
}

// Jobs start in the order of the stream. What has to be unpacked and is far from the head waits in its packed form:
// what is near always finds room, but for a moment (jobs of forgotten blocks keep theirs until they end, and a write
// that is just over until its own end is noted).
void ReceivePipeline::start_work() {
  auto is_near = [this](const wire::Block& header) {
    return header.number < delivered_ + limits::kGrainsOfBuffer &&
           header.offset + header.raw_bytes <= delivered_bytes_ + near_bytes_;
  };
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    bool unpacking = next->second->header.encoding == wire::Encoding::kZstd;
    flow::Buffer room = nullptr;
    const wire::Block& header = next->second->header;
    if (unpacking && is_near(header)) room = raw_pool_.take(header.raw_bytes);
    if (unpacking && !room) {
      ++next;
      continue;
    }
    BlockPtr block = std::move(next->second);
    next = waiting_.erase(next);
    work_on(std::move(block), std::move(room));
  }
}

void ReceivePipeline::work_on(BlockPtr block, flow::Buffer room) {
  auto job = [block, key = leaf_key_, leaf_bytes = block_bytes_, room = std::move(room)] {
    work(*block, *key, leaf_bytes, room);
  };
  // A block that was forgotten is not in the queue any more: that it is worked changes nothing.
  host_.workers.run(std::move(job), lifeline_.guard([this, block] {
    block->worked = true;
    join();
  }));
}

void ReceivePipeline::join() {
  while (!broken_ && queue_.head_ready() && queue_.head()->worked) join_block(queue_.pop());
  note_written();
  if (broken_) return;
  end_rewind();
  if (!final_ || judged_ || queue_.first() < final_->blocks) return;
  judged_ = judge(*final_);
  if (auto verdict = std::exchange(verdict_, nullptr)) verdict(*judged_);
}

void ReceivePipeline::join_block(BlockPtr block) {
  if (!block->unpacked) return broke(block->unpacked.take_error());
  // A checkpoint may stand within the block that comes first.
  const std::uint64_t joined = at_.chain.stream_bytes();
  const std::uint64_t offset = block->header.offset;
  const bool goes_on = at_.number == first_number_ && offset < joined && joined - offset < block->header.raw_bytes;
  if (offset != joined && !goes_on) return broke({Fault::kProtocol, "a block stands at the wrong place", {}});
  const ConstBytes fresh = block->raw.bytes.subspan(static_cast<std::size_t>(joined - offset));
  // By leaves, because that is where a stream can be gone on with.
  for (ConstBytes rest = fresh; !rest.empty();) {
    const std::size_t to_bound = block_bytes_ - at_.chain.stream_bytes() % block_bytes_;
    const ConstBytes part = rest.first(std::min(rest.size(), to_bound));
    rest = rest.subspan(part.size());
    if (rest.empty()) ++at_.number;
    if (Status followed = follow(part, goes_on ? std::nullopt : block->leaf); !followed)
      return broke(followed.take_error());
  }
  put_out({block->raw.buffer, fresh});
}

// Untrusted until walked, whatever the source called it: what the consumer, often the kernel, will parse has the form
// that it must have.
Status ReceivePipeline::follow(ConstBytes part, const std::optional<seal::Leaf>& whole_leaf) {
  if (auto walked = at_.walker.walk(part); !walked) return walked.take_error();
  if (whole_leaf) {
    at_.chain.add_leaf(*whole_leaf);
  } else {
    at_.chain.add_bytes(part);
  }
  at_.marks.note(at_.chain);
  if (at_.follows) {
    at_.context.follow(part);
    candidates_.note(at_);
  }
  return {};
}

void ReceivePipeline::put_out(flow::Slice raw) {
  if (rest_) {
    std::vector<std::byte> made;
    if (Status fed = rest_->feed(raw.bytes, made); !fed) {
      if (!std::exchange(broken_, true)) events_.failed(fed.take_error());
      return;
    }
    raw = flow::slice_of(std::move(made));
  }
  put_out_bytes_ += raw.bytes.size();
  block_ends_.push_back({put_out_bytes_, at_.chain.stream_bytes()});
  if (!raw.bytes.empty()) outlet_.write(std::move(raw));
}

void ReceivePipeline::note_written() {
  while (!block_ends_.empty() && block_ends_.front().put_out_bytes <= outlet_.settled_bytes()) {
    delivered_bytes_ = block_ends_.front().stream_bytes;
    block_ends_.pop_front();
    ++delivered_;
  }
  if (!waiting_.empty()) start_work();
  if (!broken_) events_.progress();
}

void ReceivePipeline::check_final(const wire::Final& final, std::function<void(Status)> verdict) {
  if (broken_ || rewound_) return;
  if (final_ && !same_end(*final_, final)) return broke({Fault::kProtocol, "two FINALs came that differ", {}});
  final_ = final;
  if (judged_) return verdict(*judged_);
  verdict_ = std::move(verdict);
  join();
}

Status ReceivePipeline::judge(const wire::Final& final) {
  // A block from beyond may still be in work: it must not come after the verdict.
  if (final.blocks != queue_.first() || queue_.end() > final.blocks || final.stream_bytes != at_.chain.stream_bytes())
    return Error{Fault::kProtocol, "FINAL gives another length than what came", {}};
  if (final.digest != at_.chain.digest())
    return Error{Fault::kDigestMismatch, "the stream that was put together here is not the one that was read there",
                 "run it again; if it happens again, test the memory of both machines"};
  Status whole = at_.walker.finish();
  bool excused = at_.walker.summary().missing_snapshots > 0 && final.producer == wire::ProducerExit::kSuccess;
  return excused ? Status() : whole;
}

void ReceivePipeline::rewind(std::function<void()> done) {
  if (broken_) return;
  queue_.truncate(received_);
  waiting_.erase(waiting_.lower_bound(received_), waiting_.end());
  if (!judged_) {
    final_.reset();
    verdict_ = nullptr;
  }
  rewound_ = std::move(done);
  end_rewind();
}

void ReceivePipeline::end_rewind() {
  if (!rewound_ || queue_.first() < received_) return;
  host_.loop.post(lifeline_.guard([this] {
    if (auto done = std::exchange(rewound_, nullptr)) done();
  }));
}

ResumePoint ReceivePipeline::resume_point() const {
  ResumePoint point{queue_.first(), at_.chain.stream_bytes(), at_.marks.marks()};
  bool marked = point.offset == 0 || (!point.marks.empty() && point.marks.back().stream_bytes == point.offset);
  if (!marked) point.marks.push_back({point.offset, at_.chain.digest()});
  return point;
}

std::vector<std::uint64_t> ReceivePipeline::beyond() const {
  std::vector<std::uint64_t> words;
  if (queue_.end() <= received_) return words;
  words.resize((queue_.end() - received_ + 63) / 64);
  for (std::uint64_t number = received_; number < queue_.end(); ++number) {
    std::uint64_t bit = number - received_;
    if (queue_.has(number)) words[bit / 64] |= std::uint64_t{1} << bit % 64;
  }
  return words;
}

}  // namespace zferry::pipeline
