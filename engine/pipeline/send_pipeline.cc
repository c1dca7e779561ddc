#include "pipeline/send_pipeline.h"

#include <utility>

namespace zferry::pipeline {
namespace {

// The expensive stages of one block. Plain: everything comes in, everything goes out.
void work(OutgoingBlock& block, const seal::SecretBytes& leaf_key, std::size_t leaf_bytes,
          const pack::PackSettings& settings, pack::Hint hint, flow::Buffer room) {
  block.sums = zstream::compute(block.plan, block.raw.bytes);
  if (block.raw.bytes.size() == leaf_bytes)
    block.leaf = seal::leaf_of(leaf_key, block.header.offset / leaf_bytes, block.raw.bytes);
  std::size_t packed = room ? pack::pack(settings, hint, block.raw.bytes, *room) : 0;
  if (packed == 0) {
    block.packed = block.raw;
    block.header.encoding = wire::Encoding::kStored;
  } else {
    block.packed = {room, ConstBytes(*room).first(packed)};
    block.header.encoding = wire::Encoding::kZstd;
  }
  block.header.packed_bytes = static_cast<std::uint32_t>(block.packed.bytes.size());
}

}  // namespace

SendPipeline::SendPipeline(Host& host, io::ByteStream& input, const Settings& settings, Events events)
    : host_(host),
      settings_(settings),
      events_(std::move(events)),
      raw_pool_(settings.pool_buffers / 2, settings.block_bytes),
      packed_pool_(settings.pool_buffers / 2, settings.block_bytes) {
  InputReader::Events reading;
  reading.hungry = [this] {
    return leaf_key_ ? waiting_.empty() && queue_.empty() && ready_.empty() && events_.wanted() : !identified_;
  };
  reading.block = [this](flow::Slice raw) { parse(std::move(raw)); };
  reading.ended = [this] {
    input_over_ = true;
    auto still_here = lifeline_.guard([this] { events_.input_ended(); });
    identify();  // what is so short is what it is
    still_here();
  };
  reading.failed = [this](Error why) { fail(std::move(why)); };
  reader_ = std::make_unique<InputReader>(host.loop, input, raw_pool_, settings.block_bytes, std::move(reading));
}

SendPipeline::~SendPipeline() = default;

void SendPipeline::start() { reader_->read_on(); }

void SendPipeline::fail(Error why) {
  if (failed_) return;
  failed_ = true;
  events_.failed(std::move(why));
}

void SendPipeline::parse(flow::Slice raw) {
  if (failed_) return;
  Result<zstream::ChecksumPlan> plan = walker_.walk(raw.bytes);
  if (!plan) return fail(plan.take_error());
  auto block = std::make_shared<OutgoingBlock>();
  block->header.number = blocks_++;
  block->header.offset = offset_;
  block->header.raw_bytes = static_cast<std::uint32_t>(raw.bytes.size());
  block->plan = std::move(*plan);
  block->raw = std::move(raw);
  offset_ += block->header.raw_bytes;
  waiting_.push_back(std::move(block));
  if (leaf_key_) return dispatch();
  if (walker_.identified()) identify();
}

void SendPipeline::identify() {
  if (std::exchange(identified_, true)) return;
  events_.identified();
}

void SendPipeline::begin(seal::SecretBytes leaf_key, bool compare_only) {
  compare_only_ = compare_only;
  chain_.emplace(leaf_key.copy(), settings_.block_bytes);
  leaf_key_ = std::make_shared<const seal::SecretBytes>(std::move(leaf_key));
  packed_pool_.set_on_return(
      [&loop = host_.loop, resume = lifeline_.guard([this] { dispatch(); })] { loop.post(resume); });
  dispatch();
  reader_->offer();
}

// Blocks go to the workers in order, each with room for its packed form. Where there is none they wait: what has a
// packed form already gets to the target without those behind it, so room comes back.
void SendPipeline::dispatch() {
  bool packing = settings_.pack.mode != pack::Mode::kOff && !compare_only_;
  while (!failed_ && !waiting_.empty()) {
    flow::Buffer room = packing ? packed_pool_.take() : nullptr;
    if (packing && !room) return;
    BlockPtr block = std::move(waiting_.front());
    waiting_.pop_front();
    work_on(std::move(block), std::move(room));
  }
}

void SendPipeline::work_on(BlockPtr block, flow::Buffer room) {
  std::uint64_t place = queue_.reserve();
  pack::PackSettings packing = settings_.pack;
  auto hint = walker_.summary().incompressible_payloads ? pack::Hint::kIncompressible : pack::Hint::kUnknown;
  auto job = [block, key = leaf_key_, leaf_bytes = settings_.block_bytes, packing, hint, room = std::move(room)] {
    work(*block, *key, leaf_bytes, packing, hint, room);
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, place, block] {
    queue_.fill(place, block);
    advance();
  }));
}

// What must be done in order: the checksums are folded, the leaf joins the chain. A block whose checksums are wrong
// never leaves.
void SendPipeline::advance() {
  bool came = false;
  while (!failed_ && queue_.head_ready()) {
    BlockPtr block = queue_.pop();
    if (Status right = verifier_.fold(block->plan, block->sums); !right) return fail(right.take_error());
    if (block->leaf) {
      chain_->add_leaf(*block->leaf);
    } else {
      chain_->add_bytes(block->raw.bytes);
    }
    block->raw = {};
    block->plan = {};
    block->sums = {};
    if (!compare_only_) ready_.push_back(std::move(block));
    came = true;
  }
  if (came && !failed_) events_.ready();
}

std::optional<OutgoingBlock> SendPipeline::next_block(std::uint64_t credit) {
  if (failed_ || ready_.empty() || ready_.front()->header.number >= credit) return std::nullopt;
  OutgoingBlock block = std::move(*ready_.front());
  ready_.pop_front();
  return block;
}

StreamEnd SendPipeline::end() const {
  ZF_ASSERT(chain_);
  return {chain_->stream_bytes(), blocks_, chain_->digest()};
}

}  // namespace zferry::pipeline
