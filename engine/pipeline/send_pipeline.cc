#include "pipeline/send_pipeline.h"

#include <algorithm>
#include <string>
#include <utility>

namespace zferry::pipeline {
namespace {

constexpr char kOtherStream[] =
    "send the very snapshot (same command, same options) that the earlier run sent; or end the target, which gives up "
    "what it holds, and start both anew";

// The expensive stages of one block. Plain: everything comes in, everything goes out.
void work(OutgoingBlock& block, const seal::SecretBytes& leaf_key, std::size_t leaf_bytes,
          const pack::PackSettings& settings, pack::Hint hint, flow::Buffer room) {
  block.sums = zstream::compute(block.plan, block.raw.bytes);
  const ConstBytes fresh = block.raw.bytes.subspan(block.skipped_bytes);
  bool split = block.skipped_bytes > 0 && !fresh.empty();  // its parts join the chain one after the other
  if (block.raw.bytes.size() == leaf_bytes && !split)
    block.leaf = seal::leaf_of(leaf_key, block.header.offset / leaf_bytes, block.raw.bytes);
  if (fresh.empty()) return;
  std::size_t packed = room ? pack::pack(settings, hint, fresh, *room) : 0;
  if (packed == 0) {
    block.packed = {block.raw.buffer, fresh};
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
  reading.hungry = [this] { return hungry(); };
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

void SendPipeline::fail_soon(Error why) {
  if (std::exchange(failed_, true)) return;
  host_.loop.post(lifeline_.guard([this, why = std::move(why)] { events_.failed(why); }));
}

bool SendPipeline::hungry() const {
  if (!leaf_key_) return !identified_;
  // Where nothing of a leaf goes out nobody waits for its parts, and whole it is the cheapest to compare.
  if (resume_.offset > offset_ && resume_.offset - offset_ >= settings_.block_bytes - offset_ % settings_.block_bytes)
    return false;
  return waiting_.empty() && queue_.empty() && ready_.empty() && events_.wanted();
}

void SendPipeline::parse(flow::Slice raw) {
  if (failed_) return;
  Result<zstream::ChecksumPlan> plan = walker_.walk(raw.bytes);
  if (!plan) return fail(plan.take_error());
  auto block = std::make_shared<OutgoingBlock>();
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

void SendPipeline::begin(seal::SecretBytes leaf_key, ResumePoint from) {
  if (Status good = from.compares_only() ? Status() : from.check(); !good) return fail_soon(good.take_error());
  resume_ = std::move(from);
  next_number_ = resume_.next_number;
  chain_.emplace(leaf_key.copy(), settings_.block_bytes);
  leaf_key_ = std::make_shared<const seal::SecretBytes>(std::move(leaf_key));
  packed_pool_.set_on_return(
      [&loop = host_.loop, resume = lifeline_.guard([this] { dispatch(); })] { loop.post(resume); });
  check_reach();
  dispatch();
  reader_->offer();
}

// Blocks go to the workers in order, each with room for its packed form. Where there is none they wait: what has a
// packed form already gets to the target without those behind it, so room comes back.
void SendPipeline::dispatch() {
  while (!failed_ && !waiting_.empty()) {
    const wire::Block& next = waiting_.front()->header;
    bool packing = settings_.pack.mode != pack::Mode::kOff && next.offset + next.raw_bytes > resume_.offset;
    flow::Buffer room = packing ? packed_pool_.take() : nullptr;
    if (packing && !room) return;
    BlockPtr block = std::move(waiting_.front());
    waiting_.pop_front();
    number(*block);
    work_on(std::move(block), std::move(room));
  }
}

// Numbers are for what goes out. Where the target's part ends inside a block the rest of it is a block of its own.
void SendPipeline::number(OutgoingBlock& block) {
  wire::Block& header = block.header;
  if (header.offset < resume_.offset) {
    block.skipped_bytes = std::min<std::uint64_t>(header.raw_bytes, resume_.offset - header.offset);
    header.raw_bytes -= static_cast<std::uint32_t>(block.skipped_bytes);
    if (header.raw_bytes == 0) return;
    header.offset = resume_.offset;
  }
  header.number = next_number_++;
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
// never leaves, nor does one of a stream that is not the target's.
void SendPipeline::advance() {
  bool came = false;
  while (!failed_ && queue_.head_ready()) {
    BlockPtr block = queue_.pop();
    if (Status right = verifier_.fold(block->plan, block->sums); !right) return fail(right.take_error());
    if (Status same = chain_block(*block); !same) return fail(same.take_error());
    block->raw = {};
    block->plan = {};
    block->sums = {};
    if (block->header.raw_bytes > 0) ready_.push_back(std::move(block));
    came = true;
  }
  if (came && !failed_) events_.ready();
}

Status SendPipeline::chain_block(const OutgoingBlock& block) {
  ConstBytes rest = block.raw.bytes;
  auto add = [&](std::size_t count) {
    if (block.leaf && count == block.raw.bytes.size()) {
      chain_->add_leaf(*block.leaf);
    } else {
      chain_->add_bytes(rest.first(count));
    }
    rest = rest.subspan(count);
  };
  while (skipping()) {
    std::uint64_t to_mark = resume_.marks[next_mark_].stream_bytes - chain_->stream_bytes();
    if (to_mark > rest.size()) break;
    add(to_mark);
    if (Status same = compare_mark(); !same) return same;
  }
  if (!rest.empty()) add(rest.size());
  return {};
}

Status SendPipeline::compare_mark() {
  const seal::ChainMark& mark = resume_.marks[next_mark_];
  if (chain_->digest() != mark.digest)
    return Error{Fault::kDifferentStream,
                 "the stream differs from the one that the target holds, between byte " + std::to_string(equal_bytes_) +
                     " and byte " + std::to_string(mark.stream_bytes),
                 kOtherStream};
  equal_bytes_ = mark.stream_bytes;
  ++next_mark_;
  return {};
}

Status SendPipeline::finish() {
  Status whole = walker_.finish();
  // Whatever else is missing, it is the walker's to say. Snapshots that were left out on purpose the caller may excuse.
  finished_ = whole || walker_.summary().missing_snapshots > 0;
  check_reach();
  return whole;
}

void SendPipeline::check_reach() {
  if (!finished_ || !leaf_key_ || resume_.compares_only() || offset_ >= resume_.offset) return;
  fail_soon({Fault::kDifferentStream,
             "the stream ends at byte " + std::to_string(offset_) + ", and the target holds " +
                 std::to_string(resume_.offset) + " bytes of the one that was begun",
             kOtherStream});
}

std::optional<OutgoingBlock> SendPipeline::next_block(std::uint64_t credit) {
  if (failed_ || ready_.empty() || ready_.front()->header.number >= credit) return std::nullopt;
  OutgoingBlock block = std::move(*ready_.front());
  ready_.pop_front();
  return block;
}

StreamEnd SendPipeline::end() const {
  ZF_ASSERT(chain_);
  return {chain_->stream_bytes(), next_number_, chain_->digest()};
}

}  // namespace zferry::pipeline
