// Where the target looks for chunks: blocks end where chunks do, are named, answered, and packed by the answer.
// docs/PROTOCOL.md, "Chunks". Mirror: resolver.cc.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "pipeline/send_pipeline.h"

namespace zferry::pipeline {
namespace {

// A block that is not full waits so long for more; a chunk that has begun, which nobody would find if it was split,
// so many times as long.
constexpr Duration kPause = std::chrono::milliseconds(25);
constexpr int kPausesMax = 10;

}  // namespace

bool SendPipeline::names_chunks_of(const OutgoingBlock& block) const {
  return id_key_ && !block.layout.chunks.empty() && block.header.offset >= resume_.offset && block.skipped_bytes == 0;
}

// A block of the length that is wanted, or the next longer one, that splits no chunk. What each block costs on the
// link, if all of it is found, is a great part of what there is to pay: a short one is cut at the stream's beginning,
// or when its source has paused.
std::size_t SendPipeline::cut_chunks(std::size_t there, std::size_t most, CutFor why) {
  if (why == CutFor::kPause) return cutter_->whole(most);
  const std::size_t ramp = limits::kFirstBlockBytes << std::min<std::uint64_t>(blocks_cut_, 16);
  const std::size_t length = std::min(ramp, most);
  const bool must = why == CutFor::kMust || there >= most;
  const bool soon = why == CutFor::kHunger && length < most;
  if (why == CutFor::kHunger && !must) flush_soon();
  if (!must && !soon && (there < length || length == most)) return 0;
  std::size_t whole = cutter_->whole(length);
  if (whole == 0) whole = cutter_->next_whole(length);
  if (whole > 0 && whole <= most) return whole;
  return must ? std::min(there, most) : 0;
}

void SendPipeline::flush_soon() {
  if (std::exchange(flush_due_, true)) return;
  host_.loop.after(kPause, lifeline_.guard([this, scanned = scanned_] {
    flush_due_ = false;
    // Who waits for room is no slow input.
    const bool idle = scanned == scanned_ && reader_->waits_for_input();
    pauses_ = idle ? pauses_ + 1 : 0;
    if (failed_ || !cutter_ || !hungry()) return;
    reader_->cut(pauses_ >= kPausesMax ? CutFor::kMust : CutFor::kPause);
    if (cutter_->waiting() > 0) flush_soon();
  }));
}

std::optional<wire::Chunks> SendPipeline::next_chunks(const Credit& credit) {
  if (failed_ || !id_key_) return std::nullopt;
  while (!to_name_again_.empty()) {
    const BlockPtr block = to_name_again_.front();
    if (!credit.covers(block->header)) return std::nullopt;
    to_name_again_.pop_front();
    const std::uint64_t number = block->header.number;
    if (recipes_.contains(number) || find_ready(number) != nullptr) return block->chunks;
  }
  if (ready_.empty()) return std::nullopt;
  next_to_name_ = std::max(next_to_name_, ready_.front()->header.number);
  while (OutgoingBlock* block = find_ready(next_to_name_)) {
    if (!credit.covers(block->header)) return std::nullopt;
    ++next_to_name_;
    if (block->stage != Stage::kToName) continue;
    block->stage = Stage::kNamed;
    return block->chunks;
  }
  return std::nullopt;
}

void SendPipeline::name_again() {
  for (const BlockPtr& block : ready_) {
    if (block->stage != Stage::kNamed) continue;
    block->stage = Stage::kToName;
    next_to_name_ = std::min(next_to_name_, block->header.number);
  }
}

// A target that was started anew knows no names and no answers. What was packed by an answer of the life before goes as
// it is, behind its names: mostly it finds again what it had found.
void SendPipeline::name_all_again() {
  to_name_again_.clear();
  for (const auto& [number, block] : recipes_) to_name_again_.push_back(block);
  for (const BlockPtr& block : ready_) {
    if (block->stage == Stage::kAnswered) block->stage = Stage::kNamed;
    const bool is_recipe = block->header.encoding == wire::Encoding::kChunks;
    if (block->stage == Stage::kPacking || (block->stage == Stage::kPacked && is_recipe))
      to_name_again_.push_back(block);
  }
  name_again();
}

OutgoingBlock* SendPipeline::find_ready(std::uint64_t number) {
  if (ready_.empty() || number < ready_.front()->header.number) return nullptr;
  const std::uint64_t index = number - ready_.front()->header.number;
  return index < ready_.size() ? ready_[index].get() : nullptr;
}

Status SendPipeline::answer(const wire::Need& need) {
  if (const auto gone = recipes_.find(need.number); gone != recipes_.end() && need.whole) {
    const BlockPtr block = gone->second;
    recipes_.erase(gone);  // asked twice, it is on its way
    pack_whole(*block);
    return {};
  }
  OutgoingBlock* block = find_ready(need.number);
  // The same answer twice, or one to a question that was repeated.
  if (block == nullptr || (block->stage != Stage::kNamed && block->stage != Stage::kToName)) {
    const bool never = need.number >= next_number_;
    return never ? Status(Error{Fault::kProtocol, "the target answered what was not asked", {}}) : Status();
  }
  block->missing = UnitSet(need.missing);
  bool none_found = true;
  for (std::size_t unit = 0; unit < block->layout.units.size(); ++unit) none_found &= block->missing.has(unit);
  block->whole = need.whole || none_found;
  block->stage = Stage::kAnswered;
  pack_answered();
  return {};
}

// In order: the first block always finds room, once those before it have arrived.
void SendPipeline::pack_answered() {
  for (const BlockPtr& block : ready_) {
    if (failed_) return;
    if (block->stage == Stage::kPacked || block->stage == Stage::kPacking) continue;
    if (block->stage != Stage::kAnswered) return;
    const bool off = settings_.pack.mode == pack::Mode::kOff;
    const std::size_t wanted = block->whole ? block->header.raw_bytes : packed_bytes_wanted(*block);
    flow::Buffer room = block->whole && off ? nullptr : pool_.take(wanted);
    if (!room && !(block->whole && off)) return;
    block->stage = Stage::kPacking;
    repack(block, std::move(room), [this, block] {
      block->stage = Stage::kPacked;
      if (block->header.encoding != wire::Encoding::kChunks) block->raw = {};
      found_bytes_ += block->found_bytes;
      events_.ready();
    });
  }
}

void SendPipeline::repack(const BlockPtr& block, flow::Buffer room, std::function<void()> done) {
  auto job = [block, key = leaf_key_, packing = packing(), room = std::move(room), &loop = host_.loop] {
    TimePoint begun = loop.now();
    if (block->whole) {
      pack_block(*block, packing, room);
    } else {
      pack_missing(*block, packing, *key, room);
    }
    block->packing = loop.now() - begun;
  };
  host_.workers.run(std::move(job), lifeline_.guard([this, block, done = std::move(done)] {
    const bool learns = block->level > 0 && block->whole;
    if (learns)
      levels_.learn(block->texture, block->level, block->header.raw_bytes, block->packed.bytes.size(), block->packing);
    done();
  }));
}

// What went as a recipe and could not be put together. It is on its way already, as far as anybody knows: it goes as it
// is where there is no room.
void SendPipeline::pack_whole(const OutgoingBlock& recipe) {
  auto block = std::make_shared<OutgoingBlock>();
  block->header = recipe.header;
  block->raw = recipe.raw;
  block->whole = true;
  found_bytes_ -= recipe.found_bytes;
  flow::Buffer room = settings_.pack.mode == pack::Mode::kOff ? nullptr : pool_.take(block->header.raw_bytes);
  repack(block, std::move(room), [this, block] { events_.again(block->header, block->packed); });
}

void SendPipeline::let_go(const std::function<bool(std::uint64_t number)>& holds) {
  std::erase_if(recipes_, [&](const auto& entry) { return !holds(entry.first); });
}

}  // namespace zferry::pipeline
