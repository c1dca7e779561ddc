// Resolver: finds chunks of a stream in the target's store, tells the source which it lacks, and puts blocks together
// of what the source sends and what the store has. A block that comes out right (its proof decides) goes on; for any
// other the source is asked for it whole. docs/PROTOCOL.md, "Chunks". Mirror: send_chunks.cc. Threading: the loop's;
// the store is read by the disk's worker, blocks are put together by the others.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/lifeline.h"
#include "flow/buffer_pool.h"
#include "pipeline/disk.h"
#include "pipeline/host.h"
#include "pipeline/recipe.h"
#include "seal/keys.h"
#include "wire/messages.h"

namespace zferry::pipeline {

class Resolver {
 public:
  // A block that was put together.
  struct Resolved {
    wire::Block header;  // as it came
    flow::Slice raw;
    flow::Slice kept;                       // how the store keeps it; empty: that would be no shorter than `raw`
    std::vector<store::ChunkFacts> chunks;  // that it brings: places in what it brings, or in `raw` where kept is empty
    std::uint64_t found_bytes = 0;          // that it did not bring
  };
  struct Events {
    std::function<void()> need;  // next_need() has something
    std::function<void(Resolved)> resolved;
    std::function<bool(std::uint64_t number)> here;  // whether a block has come, in whatever form
  };
  using OnDisk = std::function<void(std::function<Status(Disk&)> job, std::function<void(Status)> done)>;
  // `take` gives buffers as long as a block; REQUIRES: kResolvesMax more than all else that has them needs.
  Resolver(Host& host, OnDisk on_disk, std::function<flow::Buffer(std::size_t)> take, seal::SecretBytes leaf_key,
           Events events);

  // The source names a block's chunks; a second time, where the answer may have been lost: it is the same.
  void named(const wire::Chunks& chunks);
  // What this block brings is in the store from now on, and can be found.
  void stored(std::uint64_t number);
  // The store is full for now: what waits for a block to be stored is answered by what is there.
  void wait_no_longer();
  // Nothing more gets into the store.
  void nothing_is_stored();
  // A block that came as a recipe.
  void take(const wire::Block& header, flow::Slice packed);
  // A block came as it is: the chunks that it brings, if it was named.
  std::vector<store::ChunkFacts> brought_by(const wire::Block& header);
  // What the source is to be told next, for the one time; it is kept here until somebody can say it.
  std::optional<wire::Need> next_need();
  // What was said may have been lost: all that still matters is to be said again.
  void say_again();
  // Nothing is expected of blocks that were named; what is under way of them changes nothing.
  void forget_all();
  // So many bytes of the stream were found, and came out right.
  std::uint64_t found_bytes() const { return found_bytes_; }

 private:
  struct Answer {
    wire::Chunks chunks;
    std::vector<std::uint32_t> unit_bytes;
    std::vector<std::optional<store::FoundRuns>> found;  // by unit
    UnitSet missing;
    bool ready = false;
    std::shared_ptr<void> counted;  // in named_bytes_, as long as it lives
  };
  struct Assembly;
  // Who brings a chunk that is not in the store yet: it is not asked for twice.
  struct Hash {
    std::size_t operator()(const wire::Chunks::ChunkId& id) const { return load<std::size_t>(id); }
  };
  bool count(Answer& answer);
  void consider(const std::shared_ptr<Answer>& answer);
  void look_up_soon(const std::shared_ptr<Answer>& answer);
  std::optional<std::uint64_t> brought_before(const Answer& answer) const;
  void looked_up(const std::shared_ptr<Answer>& answer);
  void consider_again(std::uint64_t number);
  static Status look_up(Disk& disk, Answer& answer);
  void say(std::uint64_t number);
  void start();
  void put_together(std::shared_ptr<Assembly> assembly);
  void end(const std::shared_ptr<Assembly>& assembly);
  void succeed(Assembly& assembly);
  void fail(const Assembly& assembly);
  void ask_whole(std::uint64_t number);

  Host& host_;
  OnDisk on_disk_;
  std::function<flow::Buffer(std::size_t)> take_buffer_;
  std::shared_ptr<const seal::SecretBytes> leaf_key_;
  Events events_;
  std::map<std::uint64_t, std::shared_ptr<Answer>> answers_;                // by number
  std::unordered_map<wire::Chunks::ChunkId, std::uint64_t, Hash> bringer_;  // by id the block
  std::map<std::uint64_t, std::vector<wire::Chunks::ChunkId>> brought_;     // the reverse
  std::multimap<std::uint64_t, std::shared_ptr<Answer>> deferred_;          // until that block is stored
  bool stores_ = true;                                                      // else nobody waits for what is stored
  std::set<std::uint64_t> to_say_;                                          // numbers whose answer is to be said
  std::set<std::uint64_t> whole_;                                           // asked for whole, and not here
  // Of Resolved::kept, and of answers, in memory. At a session's end the disk's worker may be the last that has one.
  std::shared_ptr<std::atomic<std::size_t>> kept_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::shared_ptr<std::atomic<std::size_t>> named_bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  struct Waiting {
    wire::Block header;
    flow::Slice packed;
  };
  std::deque<Waiting> waiting_;
  std::size_t under_way_ = 0;
  std::set<std::uint64_t> resolving_;
  std::uint64_t era_ = 0;  // what was begun in another one is forgotten
  bool retry_due_ = false;
  std::uint64_t found_bytes_ = 0;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
