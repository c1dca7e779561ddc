#include "pipeline/lane_sender.h"

#include <algorithm>

namespace zferry::pipeline {
namespace {

std::size_t sealed_bytes(std::size_t plaintext_bytes, std::size_t frame_bytes) {
  std::size_t frames = (plaintext_bytes + frame_bytes - 1) / frame_bytes;
  return plaintext_bytes + frames * wire::kFrameOverheadBytes;
}

}  // namespace

LaneSender::LaneSender(Host& host, const LaneSettings& settings, io::ByteStream& stream,
                       std::unique_ptr<seal::Sealer> sealer, std::shared_ptr<Pacer> pacer, Events events)
    : host_(host),
      settings_(settings),
      stream_(stream),
      sealer_(std::move(sealer)),
      pacer_(std::move(pacer)),
      events_(std::move(events)) {}

void LaneSender::send(wire::FrameType type, const wire::Message& message) {
  ZF_ASSERT(message.size() <= limits::kControlBytesMax);
  queue_.push_back({type, message, {}});
  seal_next();
}

void LaneSender::send_block(const wire::Block& block, flow::Slice packed) {
  ++blocks_waiting_;
  queue_.push_back({wire::FrameType::kBlock, wire::encode(block), std::move(packed)});
  seal_next();
}

void LaneSender::drop_waiting_blocks() {
  blocks_waiting_ -=
      static_cast<int>(std::erase_if(queue_, [](const Item& item) { return !item.packed.bytes.empty(); }));
}

std::uint64_t LaneSender::unwritten_bytes() const {
  std::uint64_t bytes = block_bytes_in_work_;
  for (const Item& item : queue_) bytes += item.packed.bytes.size();
  for (const Sealed& sealed : sealed_)
    if (sealed.is_block) bytes += sealed.bytes;
  return bytes - (sealed_.empty() || !sealed_.front().is_block ? 0 : written_of_head_);
}

std::size_t LaneSender::seal_frame(seal::Sealer& sealer, wire::FrameType type, ConstBytes plaintext, Bytes out) {
  auto header = wire::encode_frame_header(type, plaintext.size());
  std::copy(header.begin(), header.end(), out.begin());
  sealer.seal(header, plaintext, out.subspan(wire::kFrameHeaderBytes, plaintext.size() + seal::kTagBytes));
  return plaintext.size() + wire::kFrameOverheadBytes;
}

std::size_t LaneSender::seal_block(seal::Sealer& sealer, const Item& item, std::size_t frame_bytes, Bytes out) {
  std::size_t used = seal_frame(sealer, wire::FrameType::kBlock, item.message, out);
  for (ConstBytes rest = item.packed.bytes; !rest.empty();) {
    ConstBytes piece = rest.first(std::min(rest.size(), frame_bytes));
    used += seal_frame(sealer, wire::FrameType::kData, piece, out.subspan(used));
    rest = rest.subspan(piece.size());
  }
  return used;
}

void LaneSender::seal_next() {
  while (!queue_.empty() && !sealing_) {
    auto item = std::make_shared<Item>(std::move(queue_.front()));
    queue_.pop_front();
    std::size_t bytes = item->message.size() + wire::kFrameOverheadBytes;
    if (item->packed.bytes.empty()) {
      auto memory = std::make_shared<std::vector<std::byte>>(bytes);
      seal_frame(*sealer_, item->type, item->message, *memory);
      sealed_.push_back({std::move(memory), bytes, false});
      write_next();
      continue;
    }
    bytes += sealed_bytes(item->packed.bytes.size(), settings_.frame_bytes);
    Memory memory = std::make_shared<std::vector<std::byte>>();
    if (!spare_.empty()) {
      memory = std::move(spare_.back());
      spare_.pop_back();
    }
    if (memory->size() < bytes) memory->resize(bytes);
    sealing_ = true;
    block_bytes_in_work_ = item->packed.bytes.size();
    auto job = [sealer = sealer_, item, memory, frame_bytes = settings_.frame_bytes] {
      seal_block(*sealer, *item, frame_bytes, *memory);
      item->packed =
          {};  // the packed form is the sender's no longer: it lives on only where it waits for its acknowledgement
    };
    // Not behind blocks that are still to be packed: the lane would stand idle, and its control frames with it.
    host_.workers.run_first(std::move(job), lifeline_.guard([this, memory, bytes] {
      sealing_ = false;
      block_bytes_in_work_ = 0;
      --blocks_waiting_;
      ++blocks_sealed_;
      sealed_.push_back({memory, bytes, true});
      write_next();
      seal_next();
    }));
  }
}

void LaneSender::write_next() {
  if (writing_ || sealed_.empty()) return;
  std::size_t piece = pacer_->piece(sealed_.front().bytes - written_of_head_);
  writing_ = true;
  Duration wait = pacer_->take(piece, host_.loop.now());
  if (wait == Duration(0)) return write_piece(piece);
  host_.loop.after(wait, lifeline_.guard([this, piece] { write_piece(piece); }));
}

void LaneSender::write_piece(std::size_t piece) {
  Memory memory = sealed_.front().memory;
  ConstBytes bytes = ConstBytes(*memory).subspan(written_of_head_, piece);
  stream_.write(bytes, lifeline_.guard([this, memory](Result<std::size_t> count) { wrote(std::move(count)); }));
}

void LaneSender::wrote(Result<std::size_t> count) {
  writing_ = false;
  if (!count) return events_.failed(count.take_error());
  sent_bytes_ += *count;
  written_of_head_ += *count;
  bool room = false;
  if (written_of_head_ == sealed_.front().bytes) {
    if (sealed_.front().is_block) {
      --blocks_sealed_;
      spare_.push_back(std::move(sealed_.front().memory));
      room = true;
    }
    sealed_.pop_front();
    written_of_head_ = 0;
  }
  write_next();
  // The listener may end this object from inside its events.
  auto still_here = lifeline_.guard([this] {
    if (idle()) events_.drained();
  });
  if (room) events_.room();
  still_here();
}

}  // namespace zferry::pipeline
