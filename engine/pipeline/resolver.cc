#include "pipeline/resolver.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "pipeline/assembly.h"

namespace zferry::pipeline {
namespace {

// How soon to look again for a buffer, when all hold blocks.
constexpr Duration kBufferPatience = std::chrono::milliseconds(2);

}  // namespace

struct Resolver::Assembly {
  std::shared_ptr<Answer> answer;
  wire::Block header;
  flow::Slice packed;
  flow::Buffer room;
  std::uint64_t era;
  Status sound{};
  std::optional<Recipe> recipe{};
  std::vector<Gap> gaps{};
  std::vector<std::byte> kept{};
  std::optional<store::BlockPlace> unreadable{};
  Resolved done{};
};

Resolver::Resolver(Host& host, OnDisk on_disk, std::function<flow::Buffer(std::size_t)> take,
                   seal::SecretBytes leaf_key, Events events)
    : host_(host),
      on_disk_(std::move(on_disk)),
      take_buffer_(std::move(take)),
      leaf_key_(std::make_shared<const seal::SecretBytes>(std::move(leaf_key))),
      events_(std::move(events)) {}

void Resolver::named(const wire::Chunks& chunks) {
  if (resolving_.contains(chunks.number)) return;  // its recipe is here: it was answered
  if (const auto known = answers_.find(chunks.number); known != answers_.end()) {
    if (known->second->ready) say(chunks.number);
    return;
  }
  auto answer = std::make_shared<Answer>();
  answer->chunks = chunks;
  answer->unit_bytes = chunks.unit_bytes();
  if (!count(*answer)) return ask_whole(chunks.number);
  answers_.emplace(chunks.number, answer);
  for (const wire::Chunks::Chunk& chunk : chunks.chunks)
    if (stores_ && bringer_.try_emplace(chunk.id, chunks.number).second) brought_[chunks.number].push_back(chunk.id);
  consider(answer);
}

// What it takes in memory, once all of it was found. False: all answers together take as much as they may.
bool Resolver::count(Answer& answer) {
  std::size_t bytes = sizeof(Answer) + answer.unit_bytes.size() * sizeof(answer.found.front());
  for (const wire::Chunks::Chunk& chunk : answer.chunks.chunks) {
    constexpr std::size_t kOfMaps = 96;  // of an id in bringer_ and brought_
    bytes += sizeof chunk + kOfMaps + chunk.piece_bytes.size() * (sizeof(std::uint32_t) + sizeof(store::Run)) +
             chunk.unit_ids.size() * (sizeof(wire::Chunks::UnitId) + sizeof(std::uint32_t));
  }
  if (*named_bytes_ + bytes > limits::kNamedBytes) return false;
  *named_bytes_ += bytes;
  answer.counted = std::shared_ptr<void>(nullptr, [all = named_bytes_, bytes](void*) { *all -= bytes; });
  return true;
}

// What repeats soon after it came the first time is found only once that is in the store: where it is worth it, which
// is where blocks behind this one are held up for a round trip, the answer waits. It waits for earlier blocks alone,
// and those come whatever becomes of this one.
void Resolver::consider(const std::shared_ptr<Answer>& answer) {
  if (const auto before = brought_before(*answer)) {
    deferred_.emplace(*before, answer);
    return;
  }
  look_up_soon(answer);
}

void Resolver::look_up_soon(const std::shared_ptr<Answer>& answer) {
  on_disk_([answer](Disk& disk) { return look_up(disk, *answer); },
           lifeline_.guard([this, answer, era = era_](const Status&) {
             if (era == era_) looked_up(answer);
           }));
}

// The last of the blocks that bring a good part of this one.
std::optional<std::uint64_t> Resolver::brought_before(const Answer& answer) const {
  std::optional<std::uint64_t> last;
  std::uint64_t bytes = 0;
  for (const wire::Chunks::Chunk& chunk : answer.chunks.chunks) {
    const auto bringer = bringer_.find(chunk.id);
    if (bringer == bringer_.end() || bringer->second >= answer.chunks.number) continue;
    bytes += chunk.bytes();
    last = std::max(last.value_or(0), bringer->second);
  }
  constexpr std::uint64_t kGoodPart = 2;
  return bytes * kGoodPart >= answer.chunks.raw_bytes ? last : std::nullopt;
}

void Resolver::looked_up(const std::shared_ptr<Answer>& answer) {
  answer->ready = true;
  const std::uint64_t number = answer->chunks.number;
  if (answer->missing.words().empty()) stored(number);  // others find what this one found
  start();  // what went by an answer of a process before this one may be here already
  const auto now = answers_.find(number);
  if (now != answers_.end() && now->second == answer) say(number);
}

void Resolver::stored(std::uint64_t number) {
  if (!waiting_.empty()) start();  // what was kept in memory is let go
  if (const auto ids = brought_.find(number); ids != brought_.end()) {
    for (const wire::Chunks::ChunkId& id : ids->second) bringer_.erase(id);
    brought_.erase(ids);
  }
  consider_again(number);
}

void Resolver::consider_again(std::uint64_t number) {
  const auto [begin, end] = deferred_.equal_range(number);
  std::vector<std::shared_ptr<Answer>> answers;
  for (auto entry = begin; entry != end; ++entry) answers.push_back(std::move(entry->second));
  deferred_.erase(begin, end);
  for (const std::shared_ptr<Answer>& answer : answers) consider(answer);
}

void Resolver::wait_no_longer() {
  for (const auto& [number, answer] : std::exchange(deferred_, {})) look_up_soon(answer);
}

void Resolver::nothing_is_stored() {
  stores_ = false;
  bringer_.clear();
  brought_.clear();
  wait_no_longer();
  start();  // what was not to be kept in memory is not kept at all
}

// On the disk's worker. What is found is pinned before anybody is told.
Status Resolver::look_up(Disk& disk, Answer& answer) {
  const wire::Chunks& named = answer.chunks;
  answer.found.resize(answer.unit_bytes.size());
  const bool looks = disk.session && disk.store && disk.scope != store::Scope{};
  const auto pinned = [&](std::optional<store::FoundRuns> found) {
    if (found && !disk.session->pin(found->place, named.number)) found.reset();
    return found;
  };
  store::Savings savings;
  std::size_t unit = 0;
  for (const wire::Chunks::Chunk& chunk : named.chunks) {
    const std::size_t units = std::max<std::size_t>(1, chunk.unit_ids.size());
    std::optional<store::FoundRuns> whole;
    if (looks) whole = pinned(disk.store->find(disk.scope, chunk.id, chunk.bytes()));
    if (whole)
      split_found(*whole, std::span(answer.unit_bytes).subspan(unit, units),
                  std::span(answer.found).subspan(unit, units));
    for (std::size_t i = 0; looks && !whole && i < chunk.unit_ids.size(); ++i)
      answer.found[unit + i] = pinned(disk.store->find(disk.scope, chunk.unit_ids[i], answer.unit_bytes[unit + i]));
    unit += units;
  }
  for (std::size_t i = 0; i < answer.found.size(); ++i) {
    savings.looked_bytes += answer.unit_bytes[i];
    if (!answer.found[i]) answer.missing.add(i);
  }
  if (looks) disk.store->add_savings(savings);
  return {};
}

void Resolver::say(std::uint64_t number) {
  to_say_.insert(number);
  events_.need();
}

void Resolver::ask_whole(std::uint64_t number) {
  whole_.insert(number);
  say(number);
}

std::optional<wire::Need> Resolver::next_need() {
  while (!to_say_.empty()) {
    const std::uint64_t number = *to_say_.begin();
    to_say_.erase(to_say_.begin());
    if (events_.here(number)) whole_.erase(number);
    if (whole_.contains(number)) return wire::Need{number, true, {}};
    const auto answer = answers_.find(number);
    if (answer != answers_.end() && answer->second->ready)
      return wire::Need{number, false, answer->second->missing.words()};
  }
  return std::nullopt;
}

void Resolver::say_again() {
  for (const auto& [number, answer] : answers_)
    if (answer->ready) to_say_.insert(number);
  to_say_.insert(whole_.begin(), whole_.end());
  if (!to_say_.empty()) events_.need();
}

void Resolver::take(const wire::Block& header, flow::Slice packed) {
  if (resolving_.contains(header.number)) return;  // a copy of it
  const auto known = answers_.find(header.number);
  const bool expected = known != answers_.end() && known->second->chunks.raw_bytes == header.raw_bytes &&
                        known->second->chunks.offset == header.offset;
  // It goes by an answer of a process before this one, and came before its names.
  if (!expected) return ask_whole(header.number);
  resolving_.insert(header.number);
  waiting_.push_back({header, std::move(packed)});
  start();
}

// A few at a time: each needs a buffer beside the one that it came in.
void Resolver::start() {
  const auto may_keep = [&] { return !stores_ || *kept_bytes_ <= limits::kKeptRecipeBytes; };
  while (under_way_ < limits::kResolvesMax && may_keep()) {
    const auto first = std::ranges::find_if(waiting_, [this](const Waiting& each) {
      const auto known = answers_.find(each.header.number);
      return known == answers_.end() || known->second->ready;
    });
    if (first == waiting_.end()) return;
    flow::Buffer room = take_buffer_(first->header.raw_bytes);
    if (!room) {
      if (!std::exchange(retry_due_, true))
        host_.loop.after(kBufferPatience, lifeline_.guard([this] {
          retry_due_ = false;
          start();
        }));
      return;
    }
    Waiting next = std::move(*first);
    waiting_.erase(first);
    const auto known = answers_.find(next.header.number);
    if (known == answers_.end()) {
      resolving_.erase(next.header.number);
      continue;
    }
    ++under_way_;
    auto assembly =
        std::make_shared<Assembly>(Assembly{known->second, next.header, std::move(next.packed), std::move(room), era_});
    answers_.erase(known);
    put_together(std::move(assembly));
  }
}

// What it brings, by a worker; what it does not, from the disk; the proof, by a worker again.
void Resolver::put_together(std::shared_ptr<Assembly> assembly) {
  const auto lay = [assembly] {
    const wire::Block& header = assembly->header;
    auto recipe = Recipe::decode(assembly->packed.bytes, header.raw_bytes, assembly->answer->unit_bytes);
    if (!recipe) {
      assembly->sound = recipe.take_error();
      return;
    }
    assembly->recipe = std::move(*recipe);
    assembly->gaps = assembly->recipe->put(assembly->room->first(header.raw_bytes));
  };
  const auto fill = [assembly](Disk& disk) -> Status {
    if (!assembly->sound) return {};
    const Bytes block = assembly->room->first(assembly->header.raw_bytes);
    assembly->sound = fill_gaps(disk, assembly->gaps, assembly->answer->unit_bytes, assembly->answer->found, block,
                                assembly->unreadable);
    return {};
  };
  const auto prove = [assembly, key = leaf_key_] {
    if (!assembly->sound) return;
    const Bytes block = assembly->room->first(assembly->header.raw_bytes);
    assembly->sound = prove_block(*assembly->recipe, *key, assembly->header.offset, block);
    if (!assembly->sound) return;
    const Answer& answer = *assembly->answer;
    Resolved& done = assembly->done;
    done.header = assembly->header;
    done.raw = {assembly->room, block};
    const Recipe& recipe = *assembly->recipe;
    std::vector<std::optional<store::FoundRuns>> found = answer.found;
    for (std::size_t unit = 0; unit < found.size(); ++unit)
      if (recipe.brings(unit)) found[unit].reset();
    assembly->kept = encode_kept({answer.unit_bytes, std::move(found), assembly->packed.bytes});
    if (assembly->kept.size() >= block.size()) assembly->kept.clear();
    done.chunks = assembly->kept.empty() ? chunks_in_block(answer.chunks) : chunks_in_recipe(answer.chunks, recipe);
  };
  host_.workers.run(lay, lifeline_.guard([this, assembly, fill, prove] {
    on_disk_(fill, lifeline_.guard([this, assembly, prove](const Status&) {
      host_.workers.run(prove, lifeline_.guard([this, assembly] { end(assembly); }));
    }));
  }));
}

void Resolver::end(const std::shared_ptr<Assembly>& assembly) {
  --under_way_;
  auto still_here = lifeline_.guard([this] { start(); });
  if (assembly->era == era_) {
    resolving_.erase(assembly->header.number);
    if (events_.here(assembly->header.number)) {
      // It came whole meanwhile.
    } else if (assembly->sound) {
      succeed(*assembly);
    } else {
      fail(*assembly);
    }
  }
  still_here();
}

void Resolver::succeed(Assembly& assembly) {
  const Answer& answer = *assembly.answer;
  for (std::size_t unit = 0; unit < answer.unit_bytes.size(); ++unit)
    if (!assembly.recipe->brings(unit)) assembly.done.found_bytes += answer.unit_bytes[unit];
  found_bytes_ += assembly.done.found_bytes;
  const std::size_t bytes = assembly.kept.size();
  if (bytes > 0) {
    *kept_bytes_ += bytes;
    assembly.done.kept = flow::slice_of(std::move(assembly.kept), [kept = kept_bytes_, bytes] { *kept -= bytes; });
  }
  events_.resolved(std::move(assembly.done));
}

// What proved wrong is not found there again: where nothing could be read that alone, where the proof failed all of it,
// for nobody knows which it was. What the block brings is named again with it.
void Resolver::fail(const Assembly& assembly) {
  const std::uint64_t number = assembly.header.number;
  answers_.emplace(number, assembly.answer);
  std::vector<store::BlockPlace> wrong;
  if (assembly.unreadable) {
    wrong.push_back(*assembly.unreadable);
  } else if (assembly.recipe) {
    for (const auto& found : assembly.answer->found)
      if (found) wrong.push_back(found->place);
  }
  on_disk_(
      [wrong = std::move(wrong)](Disk& disk) {
        for (const store::BlockPlace& place : wrong)
          if (disk.store) disk.store->forget(place);
        return Status();
      },
      [](const Status&) {});
  ask_whole(number);
}

std::vector<store::ChunkFacts> Resolver::brought_by(const wire::Block& header) {
  whole_.erase(header.number);
  resolving_.erase(header.number);  // what comes of its recipe comes too late
  const auto known = answers_.find(header.number);
  if (known == answers_.end()) return {};
  const std::shared_ptr<Answer> answer = std::move(known->second);
  answers_.erase(known);
  const bool same = answer->chunks.raw_bytes == header.raw_bytes && answer->chunks.offset == header.offset;
  return same ? chunks_in_block(answer->chunks) : std::vector<store::ChunkFacts>{};
}

void Resolver::forget_all() {
  ++era_;
  answers_.clear();
  bringer_.clear();
  brought_.clear();
  deferred_.clear();
  to_say_.clear();
  whole_.clear();
  waiting_.clear();
  resolving_.clear();
}

}  // namespace zferry::pipeline
