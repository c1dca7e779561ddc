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
  const bool whole = block.raw.bytes.size() == leaf_bytes && block.header.offset % leaf_bytes == 0;
  if (whole && !split) block.leaf = seal::leaf_of(leaf_key, block.header.offset / leaf_bytes, block.raw.bytes);
}

constexpr double kLoopShare = 0.5;  // of a core, that the loop takes from the workers

}  // namespace

SendPipeline::SendPipeline(Host& host, io::ByteStream& input, const Settings& settings, Events events)
    : host_(host),
      settings_(settings),
      events_(std::move(events)),
      pool_(settings.pool_buffers, settings.block_bytes),
      levels_(static_cast<double>(host.workers.count()) - kLoopShare),
      block_bytes_wanted_(settings.block_bytes) {
  cutter_.emplace(chunk::Sizes::of(settings.block_bytes));
  pool_.set_on_return([&loop = host_.loop, resume = lifeline_.guard([this] { resume(); })] { loop.post(resume); });
  InputReader::Events reading;
  reading.hungry = [this] { return hungry(); };
  reading.room = [this] { return may_read_ahead(); };
  reading.read = [this](ConstBytes bytes) {
    scanned_ += bytes.size();
    if (cutter_) cutter_->scan(bytes);
  };
  reading.more = [this](std::size_t there) { return block_bytes_most(there); };
  reading.cut = [this](std::size_t there, CutFor why) { return cut_block(there, why); };
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
bool SendPipeline::may_read_ahead() {
  std::size_t buffers = pool_.buffers();
  if (!leaf_key_ && !identified_) return pool_.free_buffers() > buffers / 2;
  // Blocks that wait for an answer have no room for their packed form yet.
  if (id_key_ && pool_.free_buffers() <= limits::kAnsweredBuffers) {
    pool_.call_on_return();
    return false;
  }
  return waiting_.size() < std::clamp<std::size_t>(buffers / 4, 1, limits::kReadAheadBlocks);
}

// Where nobody looks for chunks (as far as is known), or they are only compared, blocks end where leaves do, so that
// whole leaves are summed on the workers.
std::size_t SendPipeline::block_bytes_most(std::size_t there) const {
  return cuts_by_chunks() ? settings_.block_bytes : settings_.block_bytes - (offset_ + there) % settings_.block_bytes;
}

InputReader::Cut SendPipeline::cut_block(std::size_t there, CutFor why) {
  const std::size_t most = block_bytes_most(0);
  std::size_t bytes = 0;
  if (cuts_by_chunks() || (cutter_ && !leaf_key_ && cutter_->follows_records())) {
    bytes = cut_chunks(there, most, why);
  } else {
    const std::size_t length = std::min(block_length(), most);
    if (there >= length || why != CutFor::kLength) bytes = std::min(there, length);
  }
  return {bytes, !cuts_by_chunks() && bytes == most};
}

// The first blocks are short, so that the first byte is soon there whatever the link; then they double.
std::size_t SendPipeline::block_length() const {
  if (leaf_key_ && resume_.offset > offset_) return settings_.block_bytes;  // what is only compared
  std::size_t ramp = limits::kFirstBlockBytes << std::min<std::uint64_t>(blocks_cut_, 16);
  return std::min({ramp, block_bytes_wanted_, settings_.block_bytes});
}

void SendPipeline::resume() {
  if (leaf_key_) pack_answered();
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
  if (cutter_) block->layout = cutter_->cut(raw.bytes.size());
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

void SendPipeline::begin(seal::SecretBytes leaf_key, ResumePoint from, const wire::Id& chunk_key) {
  if (Status good = from.compares_only() ? Status() : from.check(); !good) return fail_soon(good.take_error());
  resume_ = std::move(from);
  next_number_ = next_to_name_ = resume_.next_number;
  if (chunk_key != wire::Id{} && !resume_.compares_only()) {
    id_key_ = std::make_shared<const chunk::IdKey>(chunk_key, settings_.chunk_id_bits);
    pool_.set_limit(settings_.pool_buffers * settings_.block_bytes);
  } else {
    cutter_.reset();
  }
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
    bool packing = settings_.pack.mode != pack::Mode::kOff && next.offset + next.raw_bytes > resume_.offset &&
                   !names_chunks_of(*waiting_.front());
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

Packing SendPipeline::packing() {
  auto hint = walker_.summary().incompressible_payloads ? pack::Hint::kIncompressible : pack::Hint::kUnknown;
  return {settings_.pack, hint, {levels_.level(pack::Texture::kText), levels_.level(pack::Texture::kSparse)}};
}

void SendPipeline::work_on(BlockPtr block, flow::Buffer room) {
  std::uint64_t place = queue_.reserve();
  const bool names = names_chunks_of(*block);
  if (names) block->stage = Stage::kToName;
  auto job = [block, key = leaf_key_, ids = names ? id_key_ : nullptr, leaf_bytes = settings_.block_bytes,
              packing = packing(), room = std::move(room), &loop = host_.loop] {
    work(*block, *key, leaf_bytes);
    if (ids) {
      block->chunks = name_chunks(*ids, block->layout, block->raw.bytes, block->header);
      return;
    }
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
    if (block->stage == Stage::kToName) block->running = verifier_.running();
    if (Status right = verifier_.fold(block->plan, block->sums); !right) return fail(right.take_error());
    if (Status same = chain_block(*block); !same) return fail(same.take_error());
    if (block->stage == Stage::kPacked) block->raw = {};
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
  if (failed_ || ready_.empty() || ready_.front()->stage != Stage::kPacked || waits_for(credit)) return std::nullopt;
  BlockPtr block = std::move(ready_.front());
  ready_.pop_front();
  if (block->header.encoding == wire::Encoding::kChunks) recipes_.emplace(block->header.number, block);
  OutgoingBlock next;
  next.header = block->header;
  next.packed = block->packed;
  return next;
}

StreamEnd SendPipeline::end() const {
  ZF_ASSERT(chain_);
  return {chain_->stream_bytes(), next_number_, chain_->digest()};
}

}  // namespace zferry::pipeline
