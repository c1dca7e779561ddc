#include "pipeline/receive_pipeline.h"

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

}  // namespace

ReceivePipeline::ReceivePipeline(Host& host, std::unique_ptr<Destination> destination, seal::SecretBytes leaf_key,
                                 std::size_t block_bytes, std::size_t window_blocks, Events events)
    : host_(host),
      block_bytes_(block_bytes),
      window_blocks_(window_blocks),
      events_(std::move(events)),
      raw_pool_(window_blocks, block_bytes),
      leaf_key_(std::make_shared<const seal::SecretBytes>(leaf_key.copy())),
      chain_(std::move(leaf_key), block_bytes),
      outlet_(std::move(destination), limits::kTailBytes,
              {[this] { note_written(); }, [this](Error why) { events_.failed(std::move(why)); },
               [this](wire::Completion how) { events_.finished(how); }}) {}

void ReceivePipeline::broke(Error why) {
  if (!std::exchange(broken_, true)) events_.broke(std::move(why));
}

void ReceivePipeline::take(const wire::Block& header, flow::Slice packed) {
  if (broken_) return;
  if (final_ && header.number >= final_->blocks) return broke({Fault::kProtocol, "a block came from beyond FINAL", {}});
  if (header.number >= credit()) return broke({Fault::kProtocol, "the source sent a block beyond its credit", {}});
  if (header.raw_bytes > block_bytes_) return broke({Fault::kProtocol, "a block is longer than was agreed", {}});
  if (!arrived_.fill_any(header.number, 'x')) return;  // a copy: the first one won
  while (arrived_.head_ready()) {
    arrived_.pop();
    ++received_;
  }
  auto block = std::make_shared<IncomingBlock>();
  block->header = header;
  block->packed = std::move(packed);
  flow::Buffer room;
  if (header.encoding == wire::Encoding::kZstd) {
    room = raw_pool_.take();
    if (!room) return events_.failed({Fault::kInternal, "no buffer for a block within the window", {}});
  }
  auto job = [block, key = leaf_key_, leaf_bytes = block_bytes_, room] { work(*block, *key, leaf_bytes, room); };
  host_.workers.run(std::move(job), lifeline_.guard([this, block] {
    queue_.fill_any(block->header.number, block);
    join();
  }));
  events_.progress();
}

void ReceivePipeline::join() {
  while (!broken_ && queue_.head_ready()) {
    BlockPtr block = queue_.pop();
    if (!block->unpacked) return broke(block->unpacked.take_error());
    if (block->header.offset != chain_.stream_bytes())
      return broke({Fault::kProtocol, "a block stands at the wrong place", {}});
    // Untrusted until walked, whatever the source called it: what the consumer, often the kernel, will parse has the
    // form that it must have.
    if (auto walked = walker_.walk(block->raw.bytes); !walked) return broke(walked.take_error());
    if (block->leaf) {
      chain_.add_leaf(*block->leaf);
    } else {
      chain_.add_bytes(block->raw.bytes);
    }
    block_ends_.push_back(chain_.stream_bytes());
    outlet_.write(std::move(block->raw));
  }
  note_written();
  if (final_ && !broken_ && queue_.first() >= final_->blocks) {
    if (auto verdict = std::exchange(verdict_, nullptr)) verdict(judge(*final_));
  }
}

void ReceivePipeline::note_written() {
  while (!block_ends_.empty() && block_ends_.front() <= outlet_.settled_bytes()) {
    block_ends_.pop_front();
    ++delivered_;
  }
  if (!broken_) events_.progress();
}

void ReceivePipeline::check_final(const wire::Final& final, std::function<void(Status)> verdict) {
  if (final_) return broke({Fault::kProtocol, "FINAL came twice", {}});
  final_ = final;
  verdict_ = std::move(verdict);
  join();
}

Status ReceivePipeline::judge(const wire::Final& final) {
  // A block from beyond may still be in work: it must not come after the verdict.
  if (final.blocks != queue_.first() || arrived_.end() > final.blocks || final.stream_bytes != chain_.stream_bytes())
    return Error{Fault::kProtocol, "FINAL gives another length than what came", {}};
  if (final.digest != chain_.digest())
    return Error{Fault::kDigestMismatch, "the stream that was put together here is not the one that was read there",
                 "run it again; if it happens again, test the memory of both machines"};
  Status whole = walker_.finish();
  bool excused = walker_.summary().missing_snapshots > 0 && final.producer == wire::ProducerExit::kSuccess;
  return excused ? Status() : whole;
}

}  // namespace zferry::pipeline
