// Leaves and the chain over them; the header says how they fit together.
#include "seal/leaf.h"

#include <algorithm>
#include <optional>

#include "base/saved.h"
#include "seal/blake2b.h"
#include "seal/poly1305.h"

namespace zferry::seal {
namespace {

constexpr std::size_t kChainBytes = 32;
constexpr std::size_t kCheckBytes = 32;
constexpr std::uint32_t kSavedVersion = 1;

// Poly1305 keys serve one message: each leaf of a stream has its own.
SecretBytes one_time_key(const SecretBytes& leaf_key, std::uint64_t index) {
  SecretBytes key;
  Blake2b(kKeyBytes, leaf_key.bytes()).add("zferry leaf").add_u64(index).finish(key.writable());
  return key;
}

// Covers the library's layout as well: a state that this library would misread is never shown to it.
std::array<std::byte, kCheckBytes> check_of(const SecretBytes& leaf_key, ConstBytes saved) {
  std::array<std::byte, kCheckBytes> check;
  Blake2b(kCheckBytes, leaf_key.bytes()).add("zferry saved chain").add(Blake2b::layout()).add(saved).finish(check);
  return check;
}

}  // namespace

Leaf leaf_of(const SecretBytes& leaf_key, std::uint64_t index, ConstBytes bytes) {
  Poly1305 mac(one_time_key(leaf_key, index));
  mac.add(bytes);
  return mac.tag();
}

Proof proof_of(const SecretBytes& leaf_key, std::uint64_t offset, ConstBytes block) {
  SecretBytes key;
  Blake2b(kKeyBytes, leaf_key.bytes()).add("zferry proof").add_u64(offset).add_u64(block.size()).finish(key.writable());
  Poly1305 mac(key);
  mac.add(block);
  return mac.tag();
}

struct LeafChain::State {
  SecretBytes leaf_key;
  std::size_t leaf_bytes;
  Blake2b chain{kChainBytes};
  std::uint64_t stream_bytes = 0;
  std::optional<Poly1305> unfinished{};  // the leaf that has some of its bytes, not all

  void take(const Leaf& leaf) { chain.add(leaf); }
};

LeafChain::LeafChain(SecretBytes leaf_key, std::size_t leaf_bytes)
    : state_(new State{std::move(leaf_key), leaf_bytes}) {
  ZF_ASSERT(leaf_bytes > 0);
}
LeafChain::LeafChain(LeafChain&&) noexcept = default;
LeafChain& LeafChain::operator=(LeafChain&&) noexcept = default;
LeafChain::~LeafChain() = default;
std::uint64_t LeafChain::stream_bytes() const { return state_->stream_bytes; }

void LeafChain::add_leaf(const Leaf& leaf) {
  ZF_ASSERT(!state_->unfinished);
  state_->take(leaf);
  state_->stream_bytes += state_->leaf_bytes;
}

void LeafChain::add_bytes(ConstBytes bytes) {
  State& state = *state_;
  while (!bytes.empty()) {
    if (!state.unfinished)
      state.unfinished.emplace(one_time_key(state.leaf_key, state.stream_bytes / state.leaf_bytes));
    const std::size_t room = state.leaf_bytes - state.stream_bytes % state.leaf_bytes;
    const std::size_t count = std::min(room, bytes.size());
    state.unfinished->add(bytes.first(count));
    state.stream_bytes += count;
    bytes = bytes.subspan(count);
    if (count == room) {
      state.take(state.unfinished->tag());
      state.unfinished.reset();
    }
  }
}

StreamDigest LeafChain::digest() const {
  const State& state = *state_;
  std::array<std::byte, kChainBytes> chain;
  Blake2b(state.chain).finish(chain);
  StreamDigest digest;
  Blake2b whole(digest.size(), state.leaf_key.bytes());
  whole.add(chain);
  if (state.unfinished) whole.add(state.unfinished->tag());
  whole.add_u64(state.stream_bytes).finish(digest);
  return digest;
}

bool LeafChain::at_leaf_bound() const { return !state_->unfinished; }

std::vector<std::byte> LeafChain::save() const {
  ZF_ASSERT(at_leaf_bound());
  SavedWriter out(kSavedVersion);
  out.integer(std::uint64_t{state_->leaf_bytes}).integer(state_->stream_bytes).array(state_->chain.save());
  const auto check = check_of(state_->leaf_key, out.so_far());
  return out.array(check).take();
}

Result<LeafChain> LeafChain::restore(SecretBytes leaf_key, std::size_t leaf_bytes, ConstBytes saved) {
  LeafChain chain(std::move(leaf_key), leaf_bytes);
  State& state = *chain.state_;
  SavedReader in("a chain of leaves", kSavedVersion, saved);
  in.integer<std::uint64_t>("leaf length", leaf_bytes, leaf_bytes);
  state.stream_bytes = in.integer<std::uint64_t>("stream length");
  in.check("stream length", state.stream_bytes % leaf_bytes == 0);
  const auto blake2b = in.array<std::tuple_size_v<Blake2b::Saved>>("hash");
  const auto check = in.array<kCheckBytes>("check");
  if (Status status = in.finish(); !status) return status.take_error();
  in.check("check", check == check_of(state.leaf_key, saved.first(saved.size() - kCheckBytes)));
  if (Status status = in.finish(); !status) return status.take_error();
  state.chain = Blake2b::restored(kChainBytes, blake2b);
  return chain;
}

}  // namespace zferry::seal
