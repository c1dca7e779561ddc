// ReceivePipeline: packed blocks, in any order, to the stream, in order. docs/ARCHITECTURE.md, "Data flows one way".
// Mirror: send_pipeline.h.
//
//   (a lane gives) -> [ unpack, leaf ] -> join -> parse, chain -> write, the tail withheld
//                     on the workers, by block
// Threading: the loop's; the bracket's jobs own what they touch.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/lifeline.h"
#include "base/limits.h"
#include "flow/buffer_pool.h"
#include "flow/ordered_queue.h"
#include "pipeline/host.h"
#include "pipeline/outlet.h"
#include "pipeline/resume_point.h"
#include "pipeline/stream_state.h"
#include "wire/messages.h"
#include "zstream/remainder.h"

namespace zferry::pipeline {

// A block on its way through the target. Each stage fills in its part.
struct IncomingBlock {
  wire::Block header;
  flow::Slice packed;  // let go when unpacked
  flow::Slice raw;
  std::optional<seal::Leaf> leaf;  // where the block is a whole leaf
  Status unpacked;
  bool worked = false;  // all of the above is there; the loop's
};

class ReceivePipeline {
 public:
  struct Events {
    std::function<void()> progress;  // received() or delivered() grew
    std::function<void(wire::Completion)> finished;
    std::function<void(Error)> broke;   // the source sent what it must not; once
    std::function<void(Error)> failed;  // this end's own trouble, the destination's
  };
  // How much a source may have under way.
  struct Window {
    Window(std::size_t of_blocks, std::size_t of_bytes = limits::kWindowBytes) : blocks(of_blocks), bytes(of_bytes) {}
    std::size_t blocks;
    std::size_t bytes;  // of the stream
  };
  ReceivePipeline(Host& host, std::unique_ptr<Destination> destination, seal::SecretBytes leaf_key,
                  std::size_t block_bytes, Window window, Events events);
  // One that goes on where `from` stands. With `rest` the destination gets what that makes of the stream: it takes up
  // what ZFS kept.
  ReceivePipeline(Host& host, std::unique_ptr<Destination> destination, seal::SecretBytes leaf_key,
                  std::size_t block_bytes, Window window, Events events, StreamState from,
                  std::unique_ptr<zstream::Remainder> rest);

  // A block that came before, also one below received() or after FINAL, is let go at once.
  void take(const wire::Block& header, flow::Slice packed);
  // The source says that this is the end. Calls `verdict` once every block was joined, with what is wrong if something
  // is. The same FINAL may come again: the latest `verdict` is the one that is called, at once where it is known.
  void check_final(const wire::Final& final, std::function<void(Status)> verdict);
  // The stream is whole: the tail goes out and the destination is completed.
  void release() { outlet_.release(); }
  void drop(std::function<void()> gone);

  // A new run of the source takes over. What arrived beyond the first gap is forgotten, and a FINAL that has no verdict
  // yet; until `done`, which is called from the loop once what stays has been joined, nothing is taken. From then on
  // blocks are welcome as the new run cuts them, numbered from resume_point().next_number; a job of a forgotten block
  // that ends late changes nothing. Not called if the stream breaks first. REQUIRES: the old run's lanes are gone.
  void rewind(std::function<void()> done);
  // What was joined so far, as a new run needs to know it. Current after rewind()'s `done`.
  ResumePoint resume_point() const;
  // Bit i of these words: block received() + i has arrived. Empty where nothing did beyond the first gap.
  std::vector<std::uint64_t> beyond() const;

  // Blocks below this are in memory; below that, written; below the last, welcome.
  std::uint64_t received() const { return received_; }
  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t credit() const { return delivered_ + window_.blocks; }
  // Of the stream: what a source sends must end here or before. Whoever takes it off the lanes sees to that.
  std::uint64_t credit_bytes() const { return delivered_bytes_ + window_.bytes; }
  // Of the stream. A remainder gives its consumer fewer bytes than this, and counts by blocks.
  std::uint64_t written_bytes() const { return rest_ ? delivered_bytes_ : outlet_.written_bytes(); }
  std::uint64_t stream_bytes() const { return at_.chain.stream_bytes(); }
  seal::StreamDigest digest() const { return at_.chain.digest(); }
  const zstream::RecordWalker& walker() const { return at_.walker; }
  bool writing() const { return outlet_.writing(); }
  // Whether take() of this number would be a copy.
  bool has(std::uint64_t number) const { return queue_.has(number); }
  // The last place that can be begun at, at most before block `durable`, and lies before the token's: told once.
  std::optional<Checkpoint> applied(const zstream::ResumeToken& token, std::uint64_t durable) {
    return candidates_.applied(token, durable);
  }
  // What comes can be gone on with by a resume token of ZFS.
  bool resumable() const { return at_.context.resumable(); }
  // Blocks below this have been verified, and are part of digest().
  std::uint64_t joined() const { return at_.number; }

 private:
  using BlockPtr = std::shared_ptr<IncomingBlock>;
  void start_work();
  void work_on(BlockPtr block, flow::Buffer room);
  void join();
  void join_block(BlockPtr block);
  Status follow(ConstBytes part, const std::optional<seal::Leaf>& whole_leaf);
  void put_out(flow::Slice raw);
  void end_rewind();
  void note_written();
  Status judge(const wire::Final& final);
  void broke(Error why);

  Host& host_;
  const std::size_t block_bytes_;
  const Window window_;
  Events events_;
  const std::size_t near_bytes_;
  flow::BufferPool raw_pool_;
  std::shared_ptr<const seal::SecretBytes> leaf_key_;
  StreamState at_;
  Candidates candidates_;
  std::unique_ptr<zstream::Remainder> rest_;
  const std::uint64_t first_number_;
  std::uint64_t received_;
  std::uint64_t delivered_;
  std::uint64_t delivered_bytes_;
  flow::OrderedQueue<BlockPtr> queue_;         // which blocks came, in work or worked
  std::map<std::uint64_t, BlockPtr> waiting_;  // for room, by number; they are in the queue as well
  struct BlockEnd {
    std::uint64_t put_out_bytes;  // to the outlet, up to this block's end
    std::uint64_t stream_bytes;
  };
  std::deque<BlockEnd> block_ends_;  // of joined blocks that are not written yet
  std::uint64_t put_out_bytes_ = 0;
  std::optional<wire::Final> final_;
  std::function<void(Status)> verdict_;
  std::optional<Status> judged_;   // the verdict, once it was given
  std::function<void()> rewound_;  // while a rewind waits
  bool broken_ = false;
  Outlet outlet_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
