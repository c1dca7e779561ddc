// SendPipeline: input to packed blocks, in order. docs/ARCHITECTURE.md, "Data flows one way". Mirror:
// receive_pipeline.h.
//
//   read -> parse -> cut, number -> [ checksums, leaf, pack ] -> verify, chain -> (a lane pulls)
//                                     on the workers, by block
// Threading: the loop's; the bracket's jobs own what they touch.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/lifeline.h"
#include "flow/buffer_pool.h"
#include "flow/ordered_queue.h"
#include "pack/pack.h"
#include "pipeline/host.h"
#include "pipeline/input_reader.h"
#include "seal/leaf.h"
#include "wire/messages.h"
#include "zstream/walker.h"

namespace zferry::pipeline {

// A block on its way through the source. Each stage fills in its part.
struct OutgoingBlock {
  wire::Block header;
  flow::Slice raw;                 // let go when packed
  zstream::ChecksumPlan plan;      // parse
  zstream::ChecksumSums sums;      // work
  std::optional<seal::Leaf> leaf;  // work, where the block is a whole leaf
  flow::Slice packed;              // work; where stored: the raw bytes
};

struct StreamEnd {
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
  seal::StreamDigest digest{};
};

class SendPipeline {
 public:
  struct Events {
    std::function<bool()> wanted;       // whether a block would go onto the link at once
    std::function<void()> identified;   // what the stream is, is known
    std::function<void()> ready;        // next_block() has one
    std::function<void()> input_ended;  // all was read; whether it may be believed is the producer's exit to say
    std::function<void(Error)> failed;
  };
  struct Settings {
    std::size_t block_bytes;
    pack::PackSettings pack;
    std::size_t pool_buffers;
  };
  SendPipeline(Host& host, io::ByteStream& input, const Settings& settings, Events events);
  ~SendPipeline();

  void start();  // read and parse, until the pool is full
  // The session has a leaf key: the blocks may be worked on. `compare_only`: none is sent, the digest is all that is
  // wanted.
  void begin(seal::SecretBytes leaf_key, bool compare_only);
  // The next block in order, if it is ready and numbered below `credit`. It is the caller's until acknowledged.
  std::optional<OutgoingBlock> next_block(std::uint64_t credit);
  // Downstream has room: what was read so far may go.
  void pull() { reader_->offer(); }
  // Everything that was read has been taken by next_block() (or compared).
  bool drained() const { return input_over_ && waiting_.empty() && queue_.empty() && ready_.empty(); }
  // The stream may end here: nothing is missing at its end. Errors: kStreamIncomplete.
  Status finish() { return walker_.finish(); }
  StreamEnd end() const;
  const zstream::RecordWalker& walker() const { return walker_; }
  std::uint64_t stream_bytes() const { return offset_; }
  std::uint64_t checksums_verified() const { return verifier_.compared(); }
  bool input_over() const { return input_over_; }
  // Blocks that are being worked on; with the pool full and none, the link is what all wait for.
  std::size_t in_work() const { return queue_.size(); }
  std::size_t ready() const { return ready_.size(); }

 private:
  using BlockPtr = std::shared_ptr<OutgoingBlock>;
  void parse(flow::Slice raw);
  void identify();
  void dispatch();
  void work_on(BlockPtr block, flow::Buffer room);
  void advance();
  void fail(Error why);

  Host& host_;
  const Settings settings_;
  Events events_;
  flow::BufferPool raw_pool_;  // half the pool each: a block has its packed form's room when it is cut
  flow::BufferPool packed_pool_;
  zstream::RecordWalker walker_;
  zstream::ChecksumVerifier verifier_;
  std::shared_ptr<const seal::SecretBytes> leaf_key_;  // shared with the jobs
  std::optional<seal::LeafChain> chain_;
  bool compare_only_ = false;
  bool failed_ = false;
  bool identified_ = false;
  bool input_over_ = false;
  std::uint64_t offset_ = 0;
  std::uint64_t blocks_ = 0;
  std::deque<BlockPtr> waiting_;        // parsed; for begin(), or for room
  flow::OrderedQueue<BlockPtr> queue_;  // in work
  std::deque<BlockPtr> ready_;          // in order, for a lane
  std::unique_ptr<InputReader> reader_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
