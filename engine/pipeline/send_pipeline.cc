#include "pipeline/send_pipeline.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/limits.h"

namespace zferry::pipeline {
namespace {

constexpr char kOtherStream[] =
    "send the very snapshot (same command, same options) that the earlier run sent; or end the target, which gives up "
    "what it holds, and start both anew";

// The expensive stages of one block. Plain: everything comes in, everything goes out.
void work(OutgoingBlock& block, const seal::SecretBytes& leaf_key, std::size_t leaf_bytes) {
  block.sums = zstream::compute(block.plan, block.raw.bytes);
  const ConstBytes fresh = block.raw.bytes.subspan(block.skipped_bytes);
  bool split = block.skipped_bytes > 0 && !fresh.empty();  // its parts join the chain one after the other
  if (block.raw.bytes.size() == leaf_bytes && !split)
    block.leaf = seal::leaf_of(leaf_key, block.header.offset / leaf_bytes, block.raw.bytes);
}

constexpr double kLoopShare = 0.5;  // of a core, that the loop takes from the workers

// How hard a block is to be packed: as told, or by its texture.
struct Packing {
  pack::PackSettings settings;
  pack::Hint hint;
  std::array<int, pack::kPackableTextures> levels;  // by texture, where the level adapts
};

std::size_t pack_by(const Packing& how, OutgoingBlock& block, ConstBytes fresh, Bytes out) {
  if (how.settings.mode != pack::Mode::kProbe) return pack::pack(how.settings, how.hint, fresh, out);
  block.texture = how.hint == pack::Hint::kIncompressible ? pack::Texture::kDense : pack::texture_of(fresh);
  if (block.texture == pack::Texture::kDense) return 0;
  block.level = how.levels[static_cast<std::size_t>(block.texture)];
  if (block.level == 0) return 0;
  return pack::pack({pack::Mode::kAlways, block.level}, how.hint, fresh, out);
}

void pack_block(OutgoingBlock& block, const Packing& how, const flow::Buffer& room) {
  const ConstBytes fresh = block.raw.bytes.subspan(block.skipped_bytes);
  if (fresh.empty()) return;
  std::size_t packed = room ? pack_by(how, block, fresh, *room) : 0;
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
      pool_(settings.pool_buffers, settings.block_bytes),
      levels_(static_cast<double>(host.workers.count()) - kLoopShare),
      block_bytes_wanted_(settings.block_bytes) {
  pool_.set_on_return([&loop = host_.loop, resume = lifeline_.guard([this] { resume(); })] { loop.post(resume); });
  InputReader::Events reading;
  reading.hungry = [this] { return hungry(); };
  reading.room = [this] { return may_read_ahead(); };
  reading.length = [this] { return block_length(); };
  reading.block = [this](flow::Slice raw) { parse(std::move(raw)); };
  reading.ended = [this] {
    input_over_ = true;
    auto still_here = lifeline_.guard([this] { events_.input_ended(); });
    identify();  // what is so short is what it is
    still_here();
  };
  reading.failed = [this](Error why) { fail(std::move(why)); };
  reader_ = std::make_unique<InputReader>(input, pool_, settings.block_bytes, std::move(reading));
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

// Every block that waits needs room for its packed form, beside those that are on the link already: so no more are read
// than can soon be worked on. Until it is known what the stream is, the first BEGIN may be long; from then on until the
// session begins it is not known how long blocks had best be, and few are cut.
bool SendPipeline::may_read_ahead() const {
  std::size_t buffers = pool_.buffers();
  if (!leaf_key_ && !identified_) return pool_.free_buffers() > buffers / 2;
  return waiting_.size() < std::clamp<std::size_t>(buffers / 4, 1, limits::kReadAheadBlocks);
}

// The first blocks are short, so that the first byte is soon there whatever the link; then they double.
std::size_t SendPipeline::block_length() const {
  if (leaf_key_ && resume_.offset > offset_) return settings_.block_bytes;  // what is only compared
  std::size_t ramp = limits::kFirstBlockBytes << std::min<std::uint64_t>(blocks_cut_, 16);
  return std::min({ramp, block_bytes_wanted_, settings_.block_bytes});
}

void SendPipeline::resume() {
  if (leaf_key_) dispatch();
  if (!failed_) reader_->read_on();
}

void SendPipeline::parse(flow::Slice raw) {
  if (failed_) return;
  ++blocks_cut_;
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
  check_reach();
  resume();
  reader_->offer();
}

// Blocks go to the workers in order, each with room for its packed form. Where there is none they wait: what has a
// packed form already gets to the target without those behind it, so room comes back.
void SendPipeline::dispatch() {
  while (!failed_ && !waiting_.empty()) {
    const wire::Block& next = waiting_.front()->header;
    bool packing = settings_.pack.mode != pack::Mode::kOff && next.offset + next.raw_bytes > resume_.offset;
    flow::Buffer room = packing ? pool_.take(next.raw_bytes) : nullptr;
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
  auto hint = walker_.summary().incompressible_payloads ? pack::Hint::kIncompressible : pack::Hint::kUnknown;
  Packing packing{settings_.pack, hint, {levels_.level(pack::Texture::kText), levels_.level(pack::Texture::kSparse)}};
  auto job = [block, key = leaf_key_, leaf_bytes = settings_.block_bytes, packing, room = std::move(room),
              &loop = host_.loop] {
    work(*block, *key, leaf_bytes);
    TimePoint begun = loop.now();
    pack_block(*block, packing, room);
    block->packing = loop.now() - begun;
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, place, block] {
    queue_.fill(place, block);
    auto still_here = lifeline_.guard([this] { resume(); });
    advance();
    still_here();
  }));
}

// What must be done in order: the checksums are folded, the leaf joins the chain. A block whose checksums are wrong
// never leaves, nor does one of a stream that is not the target's.
void SendPipeline::advance() {
  bool came = false;
  while (!failed_ && queue_.head_ready()) {
    BlockPtr block = queue_.pop();
    if (block->level > 0)
      levels_.learn(block->texture, block->level, block->header.raw_bytes, block->packed.bytes.size(), block->packing);
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

std::optional<OutgoingBlock> SendPipeline::next_block(const Credit& credit) {
  if (failed_ || ready_.empty() || waits_for(credit)) return std::nullopt;
  OutgoingBlock block = std::move(*ready_.front());
  ready_.pop_front();
  return block;
}

StreamEnd SendPipeline::end() const {
  ZF_ASSERT(chain_);
  return {chain_->stream_bytes(), next_number_, chain_->digest()};
}

}  // namespace zferry::pipeline
