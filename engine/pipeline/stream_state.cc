#include "pipeline/stream_state.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace zferry::pipeline {
namespace {

// u32 length and bytes of each part: chain, marks, walker, context.
void put(std::vector<std::byte>& out, ConstBytes part) {
  auto length = static_cast<std::uint32_t>(part.size());
  ConstBytes bytes = std::as_bytes(std::span(&length, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
  out.insert(out.end(), part.begin(), part.end());
}

Result<ConstBytes> take(ConstBytes& rest) {
  std::uint32_t length = 0;
  if (rest.size() >= sizeof length)
    std::copy_n(rest.begin(), sizeof length, std::as_writable_bytes(std::span(&length, 1)).begin());
  if (rest.size() < sizeof length || rest.size() - sizeof length < length)
    return Error{Fault::kStoreFailed, "a checkpoint in the store is cut short", {}};
  ConstBytes part = rest.subspan(sizeof length, length);
  rest = rest.subspan(sizeof length + length);
  return part;
}

}  // namespace

StreamState StreamState::begin(seal::SecretBytes leaf_key, std::size_t block_bytes) {
  return {0, seal::LeafChain(std::move(leaf_key), block_bytes), seal::ChainMarks(block_bytes), {}, {}, false};
}

std::optional<Checkpoint> StreamState::checkpoint() const {
  if (!chain.at_leaf_bound()) return std::nullopt;
  std::vector<std::byte> walked = walker.save();
  if (walked.empty()) return std::nullopt;
  Checkpoint made{number, {}};
  put(made.state, chain.save());
  put(made.state, marks.save());
  put(made.state, walked);
  put(made.state, context.save());
  return made;
}

Result<StreamState> StreamState::restore(const Checkpoint& from, seal::SecretBytes leaf_key, std::size_t block_bytes) {
  ConstBytes rest = from.state;
  std::array<ConstBytes, 4> parts;
  for (ConstBytes& part : parts) {
    auto taken = take(rest);
    if (!taken) return taken.take_error();
    part = *taken;
  }
  auto chain = seal::LeafChain::restore(std::move(leaf_key), block_bytes, parts[0]);
  if (!chain) return chain.take_error();
  auto marks = seal::ChainMarks::restore(block_bytes, parts[1]);
  if (!marks) return marks.take_error();
  auto walker = zstream::RecordWalker::restore(parts[2]);
  if (!walker) return walker.take_error();
  auto context = zstream::StreamContext::restore(parts[3]);
  if (!context) return context.take_error();
  return StreamState{from.number, std::move(*chain), std::move(*marks), std::move(*walker), std::move(*context), true};
}

void Candidates::note(const StreamState& state) {
  std::uint64_t here = state.chain.stream_bytes();
  if (here - last_bytes_ < spacing_bytes_ || !state.context.resumable()) return;
  std::optional<Checkpoint> checkpoint = state.checkpoint();
  if (!checkpoint) return;
  auto context = zstream::StreamContext::restore(state.context.save());
  if (!context) return;
  last_bytes_ = here;
  places_.push_back({std::move(*checkpoint), std::move(*context)});
  if (places_.size() < kCandidatesMax) return;
  spacing_bytes_ *= 2;
  for (std::size_t i = 0; i < places_.size() / 2; ++i) places_[i] = std::move(places_[2 * i + 1]);
  places_.resize(places_.size() / 2);
}

std::optional<Checkpoint> Candidates::applied(const zstream::ResumeToken& token, std::uint64_t durable) {
  std::optional<Checkpoint> last;
  while (!places_.empty() && places_.front().checkpoint.number <= durable &&
         places_.front().context.lies_before(token)) {
    last = std::move(places_.front().checkpoint);
    places_.pop_front();
  }
  return last;
}

}  // namespace zferry::pipeline
