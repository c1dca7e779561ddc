// Spool: the target's blocks on their way into the store, and, after a crash of this end or of its consumer, from there
// into a new pipeline. docs/STORE.md, "In a session". Threading: the loop's; what blocks runs on the disk's worker.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "pipeline/disk.h"
#include "pipeline/host.h"
#include "pipeline/lane_keys.h"
#include "pipeline/number_set.h"
#include "pipeline/receive_pipeline.h"
#include "pipeline/settings.h"
#include "store/store.h"
#include "wire/messages.h"

namespace zferry::pipeline {

// A FINAL that was found right, and the snapshot that the stream makes (0: none).
struct KeptFinal {
  wire::Final final;
  std::uint64_t toguid = 0;
};

// What a target must know of a session to go on with it in another process.
struct KeptSession {
  wire::Open open;
  Principal principal{};
  wire::Id leaf_key{};
  std::uint32_t life = 0;          // how often this end was started for it, this time too
  std::optional<KeptFinal> final;  // the tail may have been released
};

class Spool {
 public:
  struct Events {
    std::function<void()> progress;                    // kept() or durable() grew, or room came back
    std::function<void(std::uint64_t number)> stored;  // a block is in the store, durable or not yet
    std::function<void()> full;                        // a block waits for room
    std::function<void(Error)> lost;                   // nothing more becomes durable; once
    std::function<void(Error)> damaged;                // what was kept cannot be read back; once
  };
  using Done = std::function<void(Status)>;
  // REQUIRES: host and settings outlive this object.
  Spool(Host& host, const StoreChoice& choice, const std::string& destination, std::size_t block_bytes, Events events);

  // Opens the store, and looks for a session of this destination; see found(). Errors: of the store, of its key.
  void open(Done done);
  const std::optional<KeptSession>& found() const { return found_; }
  // Where the stream may be gone on with: of the latest checkpoint. Number 0: at its start.
  const Checkpoint& checkpoint() const { return checkpoint_; }
  // A new session. REQUIRES: open, nothing found.
  void begin(const KeptSession& session, const std::string& label, Done done);
  // Another run of the source has it; blocks from `number` on are forgotten. Durable when `done`.
  void take_over(std::uint64_t incarnation, std::uint64_t number, Done done);
  void note_final(const KeptFinal& final, Done done);
  // The stream is complete: nothing of it needs to be kept.
  void remove(Done done);

  // A block as it is to be kept.
  struct Block {
    wire::Block header;
    flow::Slice packed;
    std::vector<store::ChunkFacts> chunks{};  // that it brings
    flow::Slice raw{};                        // of a recipe: what it makes
    std::uint64_t found_bytes = 0;            // of it, that were found and did not cross
  };
  // A block that came. A copy of what is here is let go.
  void take(Block block);
  // Everything below the checkpoint is applied.
  void apply(Checkpoint checkpoint);
  // The store is not to be used any more.
  void give_up(Error why) { lose(std::move(why)); }
  // From now on gives `pipeline` what it lacks and is here, as its credit allows; null: nobody.
  void feed(ReceivePipeline* pipeline);
  void feed_on();

  // Work on the store, in its turn. Jobs may outlive this object, `done` does not.
  void on_disk(std::function<Status(Disk&)> job, Done done);
  // For the ids of this session's chunks; all zero: none are looked for. Once it was begun or found.
  const wire::Id& chunk_key() const { return chunk_key_; }

  bool active() const { return active_ && !lost_; }
  wire::Keep keep() const;
  bool waits_for_room() const { return !waiting_.empty(); }
  // All that came is in the store, or will be with the next commit.
  bool all_written() const { return waiting_.empty() && writing_.empty(); }
  bool has(std::uint64_t number) const { return taken_.has(number); }
  std::uint64_t received() const { return taken_.next(); }
  std::uint64_t received_end() const { return taken_.end(); }
  std::uint64_t kept() const { return written_.next(); }
  // Where in the stream those end that are kept; nothing until a block has come that tells.
  std::optional<std::uint64_t> kept_bytes();
  std::uint64_t durable() const { return durable_.next(); }
  std::uint32_t life() const { return life_; }
  std::uint64_t capacity_bytes() const { return capacity_bytes_; }

 private:
  struct Opening;  // what the disk's worker finds there
  void write(Block block);
  void commit();
  void lose(Error why);
  bool feed_one();
  void read_block(std::uint64_t number, flow::Buffer room);

  Host& host_;
  const StoreChoice& choice_;
  const store::SessionId id_;
  const std::size_t block_bytes_;
  Events events_;
  std::shared_ptr<Disk> disk_;
  const std::string destination_;
  wire::Id chunk_key_{};
  std::shared_ptr<const seal::SecretBytes> leaf_key_;
  std::optional<KeptSession> found_;
  Checkpoint checkpoint_;
  std::uint64_t capacity_bytes_ = 0;
  std::uint32_t life_ = 0;
  bool active_ = false;
  bool lost_ = false;
  bool damage_told_ = false;

  NumberSet taken_;
  NumberSet written_;
  NumberSet durable_;
  std::map<std::uint64_t, std::uint64_t> places_;  // in the stream, of blocks from kept() on
  std::uint64_t last_write_ = 0;
  std::map<std::uint64_t, std::uint64_t> writing_;  // which write is of which number
  std::vector<std::uint64_t> uncommitted_;
  std::vector<std::uint64_t> in_commit_;
  bool committing_ = false;
  std::deque<Block> waiting_;  // for room

  ReceivePipeline* pipeline_ = nullptr;
  std::uint64_t fed_ = 0;      // blocks below are in the pipeline
  std::uint64_t feeding_ = 0;  // a number for each pipeline, so that late reads of another's are dropped
  std::size_t reading_ = 0;
  flow::BufferPool pool_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
