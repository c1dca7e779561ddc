// SendPipeline: input to packed blocks, in order. docs/ARCHITECTURE.md, "Data flows one way". Mirror:
// receive_pipeline.h.
//
//   read -> cut, parse, number -> [ checksums, leaf, pack ] -> verify, chain -> (a lane pulls)
//                                  on the workers, by block
//
// Where the target looks for chunks a block is not packed at once: [ checksums, ids ] -> verify, chain -> (its chunks
// are named, the target answers) -> [ pack what it lacks ] -> (a lane pulls). send_chunks.cc. Threading: the loop's;
// the bracket's jobs own what they touch.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "base/lifeline.h"
#include "chunk/cutter.h"
#include "chunk/id.h"
#include "flow/buffer_pool.h"
#include "flow/ordered_queue.h"
#include "pack/level_choice.h"
#include "pipeline/host.h"
#include "pipeline/input_reader.h"
#include "pipeline/outgoing_block.h"
#include "pipeline/resume_point.h"
#include "seal/leaf.h"
#include "wire/messages.h"
#include "zstream/walker.h"

namespace zferry::pipeline {

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
    std::function<void(const wire::Block&, flow::Slice)> again;  // a block that has gone, packed anew
  };
  struct Settings {
    std::size_t block_bytes;
    pack::PackSettings pack;
    std::size_t pool_buffers;
    unsigned chunk_id_bits = 128;
  };
  SendPipeline(Host& host, io::ByteStream& input, const Settings& settings, Events events);
  ~SendPipeline();

  void start();  // read and parse, until the pool is full
  // The session has a leaf key: the blocks may be worked on. What the target has already (`from.offset` bytes) is read
  // and compared at from's marks, not sent; the block that follows is numbered from.next_number. Where it differs the
  // pipeline fails with kDifferentStream before anything new may leave. Calls no event from inside itself.
  // With a `chunk_key` chunks are named to the target.
  void begin(seal::SecretBytes leaf_key, ResumePoint from, const wire::Id& chunk_key = {});
  // How far the target takes the stream now.
  struct Credit {
    Credit(std::uint64_t below, std::uint64_t end = wire::kNoEnd) : blocks(below), bytes(end) {}
    std::uint64_t blocks;  // numbered below
    std::uint64_t bytes;   // of the stream: that end here or before
    bool covers(const wire::Block& block) const {
      return block.number < blocks && block.offset + block.raw_bytes <= bytes;
    }
  };
  // The next block in order, if it is ready and covered. It is the caller's until acknowledged.
  std::optional<OutgoingBlock> next_block(const Credit& credit);
  // The chunks of the next block that is covered and whose chunks have not been named.
  std::optional<wire::Chunks> next_chunks(const Credit& credit);
  // What the target lacks of a block that was named: it is packed by that, for next_block(). One that has gone, and is
  // wanted whole, comes by events.again. Errors: kProtocol: no such block.
  Status answer(const wire::Need& need);
  // Answers that are still out may have been lost: what was named is named again.
  void name_again();
  // The same, and of what went by its answer and did not arrive.
  void name_all_again();
  // What is held for blocks that have gone is let go where `holds` says that nobody needs it any more.
  void let_go(const std::function<bool(std::uint64_t number)>& holds);
  // Of the stream, that was found at the target.
  std::uint64_t found_bytes() const { return found_bytes_; }
  // Everything that it may hold is on the link.
  bool starved() const { return ready() == 0 && queue_.empty() && pool_.waited_for(); }
  bool waits_for(const Credit& credit) const { return !ready_.empty() && !credit.covers(ready_.front()->header); }
  // Downstream has room: what was read so far may go.
  void pull() { reader_->offer(); }
  // From now on blocks are at most so long: what a lane carries in about the time that others may wait for it.
  void set_block_bytes(std::size_t bytes) { block_bytes_wanted_ = bytes; }
  // So much may be under way, from reading to acknowledgement.
  // (Named chunks wait for answers: their blocks have all of the pool.)
  void set_under_way(std::size_t bytes) {
    if (!id_key_) pool_.set_limit(bytes);
  }
  // What adaptive compression reckons with.
  pack::LevelChoice& levels() { return levels_; }
  // Everything that was read has been taken by next_block() (or compared), and nothing is amiss.
  bool drained() const {
    return leaf_key_ && input_over_ && !failed_ && !skipping() && waiting_.empty() && queue_.empty() && ready_.empty();
  }
  // The input is over, and its producer did not fail: the stream may end here, nothing is missing at its end. Errors:
  // kStreamIncomplete. A stream that ends before what the target has of it is another one: the pipeline then fails, now
  // or in begin() if that is yet to come, by its event and not by this status.
  Status finish();
  // Blocks: the number after the last one that was sent. REQUIRES: begun.
  StreamEnd end() const;
  const zstream::RecordWalker& walker() const { return walker_; }
  std::uint64_t stream_bytes() const { return offset_; }
  std::uint64_t checksums_verified() const { return verifier_.compared(); }
  bool input_over() const { return input_over_; }
  // Begun, and what the target has is not all found equal yet.
  bool skipping() const { return leaf_key_ && next_mark_ < resume_.marks.size(); }
  // Bytes of the stream that were found equal and are not sent; grows from mark to mark.
  std::uint64_t skipped_bytes() const { return equal_bytes_; }
  // Blocks that are being worked on; with the pool full and none, the link is what all wait for.
  std::size_t in_work() const { return queue_.size(); }
  // Blocks that a lane may have at once.
  std::size_t ready() const { return ready_.empty() || ready_.front()->stage != Stage::kPacked ? 0 : ready_.size(); }

 private:
  using BlockPtr = std::shared_ptr<OutgoingBlock>;
  using Stage = OutgoingBlock::Stage;
  bool hungry() const;
  bool may_read_ahead();
  std::size_t block_length() const;
  bool cuts_by_chunks() const { return id_key_ && offset_ >= resume_.offset; }
  std::size_t block_bytes_most(std::size_t there) const;
  InputReader::Cut cut_block(std::size_t there, CutFor why);
  void resume();
  void parse(flow::Slice raw);
  void identify();
  void dispatch();
  void number(OutgoingBlock& block);
  Packing packing();
  void work_on(BlockPtr block, flow::Buffer room);
  void advance();
  Status chain_block(const OutgoingBlock& block);
  Status compare_mark();
  void check_reach();
  // send_chunks.cc
  bool names_chunks_of(const OutgoingBlock& block) const;
  std::size_t cut_chunks(std::size_t there, std::size_t most, CutFor why);
  void flush_soon();
  OutgoingBlock* find_ready(std::uint64_t number);
  void pack_answered();
  void pack_whole(const OutgoingBlock& recipe);
  void repack(const BlockPtr& block, flow::Buffer room, std::function<void()> done);
  void fail(Error why);
  void fail_soon(Error why);

  Host& host_;
  const Settings settings_;
  Events events_;
  flow::BufferPool pool_;  // of raw and packed forms
  zstream::RecordWalker walker_;
  zstream::ChecksumVerifier verifier_;
  std::shared_ptr<const seal::SecretBytes> leaf_key_;  // shared with the jobs
  std::optional<seal::LeafChain> chain_;
  ResumePoint resume_;
  std::size_t next_mark_ = 0;      // of resume_, to be compared
  std::uint64_t equal_bytes_ = 0;  // to the last mark that was found equal
  bool failed_ = false;
  bool identified_ = false;
  bool input_over_ = false;
  bool finished_ = false;  // finish() found that the stream may end where it does
  pack::LevelChoice levels_;
  std::size_t block_bytes_wanted_;
  std::uint64_t blocks_cut_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t next_number_ = 0;               // of the next block that is sent
  std::deque<BlockPtr> waiting_;                // parsed; for begin(), or for room
  flow::OrderedQueue<BlockPtr> queue_;          // in work
  std::deque<BlockPtr> ready_;                  // in order, for a lane, or for an answer
  std::optional<chunk::Cutter> cutter_;         // until it is known that nobody looks for chunks
  std::shared_ptr<const chunk::IdKey> id_key_;  // somebody does; shared with the jobs
  std::map<std::uint64_t, BlockPtr> recipes_;   // that have gone; whole in `raw`
  std::deque<BlockPtr> to_name_again_;          // recipes, to a target that was started anew
  std::uint64_t next_to_name_ = 0;
  std::uint64_t scanned_ = 0;
  std::uint64_t found_bytes_ = 0;
  bool flush_due_ = false;
  int pauses_ = 0;  // in a row, without a byte
  std::unique_ptr<InputReader> reader_;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
