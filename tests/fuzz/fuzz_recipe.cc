// Any bytes as what the parts of a block are put together by: nothing may crash, nothing may be written or copied
// outside the block, and no length may be taken beyond its bound. The first byte picks: 0 a recipe, 1 one as the store
// keeps it, 2 a skeleton, 3 a recipe whose skeleton is not packed and whose lengths fit; then u16 length of the block;
// for 0 and 3 u8 count of units and u16 each length; for 3 u16 length of the skeleton, which the literals follow.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "pipeline/recipe.h"

namespace {

using namespace zferry;
using namespace zferry::pipeline;

void demand(bool holds) {
  if (!holds) std::abort();
}

// Takes from the front; zeros behind the end.
struct Input {
  ConstBytes rest;
  template <class T>
  T take() {
    const bool there = rest.size() >= sizeof(T);
    const T value = there ? load<T>(rest) : T{};
    rest = rest.subspan(there ? sizeof(T) : rest.size());
    return value;
  }
  ConstBytes take_bytes(std::size_t bytes) {
    const ConstBytes taken = rest.first(std::min(bytes, rest.size()));
    rest = rest.subspan(taken.size());
    return taken;
  }
  std::vector<std::uint32_t> take_units() {
    std::vector<std::uint32_t> lengths(take<std::uint8_t>());
    for (std::uint32_t& length : lengths) length = std::uint32_t{take<std::uint16_t>()} + 1;
    return lengths;
  }
};

void use_skeleton(ConstBytes bytes, std::size_t block_bytes) {
  const auto skeleton = chunk::Skeleton::decode(bytes, block_bytes);
  if (!skeleton) return demand(skeleton.error().fault == Fault::kProtocol);
  std::uint64_t sum = 0;
  for (const chunk::Layout::Piece& piece : skeleton->pieces()) {
    demand(piece.bytes > 0 && std::uint64_t{piece.offset} + piece.bytes <= block_bytes);
    sum += piece.bytes;
  }
  demand(sum == skeleton->payload_bytes());
  std::vector<std::byte> block(block_bytes);
  skeleton->put(block);
  [[maybe_unused]] const bool made = skeleton->put_checksums(block).ok();
}

void use_recipe(ConstBytes bytes, std::size_t block_bytes, const std::vector<std::uint32_t>& unit_bytes) {
  const auto literals = literals_of(bytes, block_bytes);
  demand(!literals || literals->size() <= block_bytes);
  const auto recipe = Recipe::decode(bytes, block_bytes, unit_bytes);
  if (!recipe) return demand(recipe.error().fault == Fault::kProtocol);
  demand(literals.ok() && std::ranges::equal(*literals, recipe->literals()));
  std::vector<std::byte> block(block_bytes);
  std::vector<std::uint64_t> left(unit_bytes.begin(), unit_bytes.end());
  for (const Gap& gap : recipe->put(block)) {
    demand(gap.unit < unit_bytes.size() && !recipe->brings(gap.unit) && gap.bytes <= left[gap.unit]);
    demand(std::uint64_t{gap.offset} + gap.bytes <= block_bytes);
    demand(std::uint64_t{gap.unit_offset} + gap.bytes <= unit_bytes[gap.unit]);
    left[gap.unit] -= gap.bytes;
  }
  for (std::size_t unit = 0; unit < left.size(); ++unit) demand(recipe->brings(unit) || left[unit] == 0);
  [[maybe_unused]] const bool made = recipe->finish(block).ok();
}

void use_kept(ConstBytes bytes, std::size_t block_bytes) {
  const auto kept = decode_kept(bytes);
  if (!kept) return demand(kept.error().fault == Fault::kStoreFailed);
  demand(kept->found.size() == kept->unit_bytes.size() && kept->recipe.size() <= bytes.size());
  for (std::size_t unit = 0; unit < kept->found.size(); ++unit) {
    if (!kept->found[unit]) continue;
    std::uint64_t sum = 0;
    for (const store::Run& run : kept->found[unit]->runs) sum += run.bytes;
    demand(sum == kept->unit_bytes[unit]);
  }
  use_recipe(kept->recipe, block_bytes, kept->unit_bytes);
  const auto again = encode_kept(*kept);
  const auto decoded = decode_kept(again);
  demand(decoded.ok() && decoded->unit_bytes == kept->unit_bytes && std::ranges::equal(decoded->recipe, kept->recipe));
}

void use_plain_recipe(Input input, std::size_t block_bytes) {
  const std::vector<std::uint32_t> unit_bytes = input.take_units();
  const ConstBytes skeleton = input.take_bytes(input.take<std::uint16_t>());
  std::vector<std::byte> bits((unit_bytes.size() + 7) / 8), literals;
  for (std::size_t unit = 0; unit < unit_bytes.size(); ++unit) {
    if (input.take<std::uint8_t>() % 2 == 0) continue;
    bits[unit / 8] |= std::byte{1} << unit % 8;
    literals.resize(literals.size() + unit_bytes[unit], std::byte{7});
  }
  std::vector<std::byte> recipe(sizeof(seal::Proof));
  const auto add = [&](ConstBytes bytes) { recipe.insert(recipe.end(), bytes.begin(), bytes.end()); };
  for (std::size_t bytes : {skeleton.size(), skeleton.size(), literals.size(), literals.size()}) {
    const auto length = static_cast<std::uint32_t>(bytes);
    add(std::as_bytes(std::span(&length, 1)));
  }
  const auto units = static_cast<std::uint16_t>(unit_bytes.size());
  add(std::as_bytes(std::span(&units, 1)));
  add(bits);
  add(skeleton);
  add(literals);
  use_recipe(recipe, block_bytes, unit_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  Input input{std::as_bytes(std::span(data, size)).subspan(1)};
  const std::size_t block_bytes = std::size_t{input.take<std::uint16_t>()} + 1;
  if (data[0] == 0) {
    const std::vector<std::uint32_t> unit_bytes = input.take_units();
    use_recipe(input.rest, block_bytes, unit_bytes);
  }
  if (data[0] == 1) use_kept(input.rest, block_bytes);
  if (data[0] == 2) use_skeleton(input.rest, block_bytes);
  if (data[0] == 3) use_plain_recipe(input, block_bytes);
  return 0;
}
