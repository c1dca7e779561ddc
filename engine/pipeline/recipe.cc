#include "pipeline/recipe.h"

#include <algorithm>

#include "base/limits.h"
#include "base/saved.h"
#include "pack/pack.h"

namespace zferry::pipeline {
namespace {

constexpr int kSkeletonLevel = 3;
constexpr std::size_t kSkeletonBytesMore = 64 * limits::KiB;  // than the block, that it may have: places and lengths

Error bad(const std::string& why) { return {Fault::kProtocol, "a recipe: " + why, {}}; }

// The fixed part of a recipe, then a bit for each unit that it brings, the skeleton, the literals.
struct Head {
  seal::Proof proof{};
  std::uint32_t skeleton_bytes = 0;
  std::uint32_t skeleton_packed_bytes = 0;
  std::uint32_t literal_bytes = 0;
  std::uint32_t literal_packed_bytes = 0;
  std::uint16_t units = 0;
  static constexpr std::size_t kBytes = sizeof(seal::Proof) + 18;

  std::size_t bits_bytes() const { return (std::size_t{units} + 7) / 8; }
  void put(Bytes out) const {
    std::ranges::copy(proof, out.begin());
    store_at(out, 16, skeleton_bytes);
    store_at(out, 20, skeleton_packed_bytes);
    store_at(out, 24, literal_bytes);
    store_at(out, 28, literal_packed_bytes);
    store_at(out, 32, units);
  }
  static Result<Head> take(ConstBytes packed, std::size_t block_bytes) {
    if (packed.size() < kBytes) return bad("it is too short");
    Head head;
    std::copy_n(packed.begin(), head.proof.size(), head.proof.begin());
    head.skeleton_bytes = load<std::uint32_t>(packed, 16);
    head.skeleton_packed_bytes = load<std::uint32_t>(packed, 20);
    head.literal_bytes = load<std::uint32_t>(packed, 24);
    head.literal_packed_bytes = load<std::uint32_t>(packed, 28);
    head.units = load<std::uint16_t>(packed, 32);
    const std::uint64_t sum =
        kBytes + head.bits_bytes() + std::uint64_t{head.skeleton_packed_bytes} + head.literal_packed_bytes;
    if (sum != packed.size()) return bad("its lengths do not fit");
    if (head.skeleton_bytes > block_bytes + kSkeletonBytesMore || head.skeleton_packed_bytes > head.skeleton_bytes ||
        head.literal_bytes > block_bytes || head.literal_packed_bytes > head.literal_bytes)
      return bad("a length is out of bounds");
    return head;
  }
};

// Packed where that is shorter.
Result<std::vector<std::byte>> unpacked(ConstBytes packed, std::size_t bytes) {
  std::vector<std::byte> plain(bytes);
  if (packed.size() == bytes) {
    copy_bytes(packed, plain);
  } else if (Status status = pack::unpack(packed, plain); !status) {
    return status.take_error();
  }
  return plain;
}

// Copies what comes in order to where the pieces are.
class Scatter {
 public:
  explicit Scatter(const std::vector<chunk::Layout::Piece>& pieces) : pieces_(pieces) {}
  // The next so many bytes' places in the block. REQUIRES: the pieces hold as many.
  template <class F>
  void each(std::size_t bytes, F place) {
    std::size_t done = 0;
    while (done < bytes) {
      const chunk::Layout::Piece& piece = pieces_[piece_];
      const std::size_t count = std::min<std::size_t>(bytes - done, piece.bytes - taken_);
      place(done, piece.offset + taken_, count);
      done += count;
      taken_ += count;
      if (taken_ < piece.bytes) continue;
      ++piece_;
      taken_ = 0;
    }
  }

 private:
  const std::vector<chunk::Layout::Piece>& pieces_;
  std::size_t piece_ = 0;
  std::size_t taken_ = 0;
};

}  // namespace

std::size_t pack_recipe(const chunk::Layout& layout, ConstBytes block, const UnitSet& missing,
                        const std::vector<std::byte>& skeleton, const seal::Proof& proof, const PackLiterals& pack,
                        Bytes out) {
  Head head;
  head.proof = proof;
  head.units = static_cast<std::uint16_t>(layout.units.size());
  head.skeleton_bytes = static_cast<std::uint32_t>(skeleton.size());
  std::size_t used = Head::kBytes + head.bits_bytes();
  std::vector<std::byte> literals;
  for (std::size_t unit = 0; unit < layout.units.size(); ++unit) {
    if (!missing.has(unit)) continue;
    const chunk::Layout::Unit& of = layout.units[unit];
    for (std::size_t p = of.first_piece; p < of.first_piece + of.pieces; ++p) {
      const ConstBytes piece = block.subspan(layout.pieces[p].offset, layout.pieces[p].bytes);
      literals.insert(literals.end(), piece.begin(), piece.end());
    }
  }
  head.literal_bytes = static_cast<std::uint32_t>(literals.size());
  if (used + skeleton.size() + literals.size() > out.size()) return 0;
  const Bytes bits = out.subspan(Head::kBytes, head.bits_bytes());
  std::ranges::fill(bits, std::byte{0});
  for (std::size_t unit = 0; unit < layout.units.size(); ++unit)
    if (missing.has(unit)) bits[unit / 8] |= std::byte{1} << unit % 8;
  const auto put = [&](ConstBytes plain, std::size_t packed) {
    if (packed == 0) copy_bytes(plain, out.subspan(used));
    const std::size_t bytes = packed == 0 ? plain.size() : packed;
    used += bytes;
    return static_cast<std::uint32_t>(bytes);
  };
  const pack::PackSettings always{pack::Mode::kAlways, kSkeletonLevel};
  head.skeleton_packed_bytes =
      put(skeleton, pack::pack(always, pack::Hint::kUnknown, skeleton, out.subspan(used, skeleton.size())));
  head.literal_packed_bytes = literals.empty() ? 0 : put(literals, pack(literals, out.subspan(used, literals.size())));
  head.put(out);
  return used < block.size() ? used : 0;
}

// The lengths of a peer or a disk are checked before anything is as long as they say.
Result<Recipe> Recipe::decode(ConstBytes packed, std::size_t block_bytes, std::span<const std::uint32_t> unit_bytes) {
  auto head = Head::take(packed, block_bytes);
  if (!head) return head.take_error();
  if (head->units != unit_bytes.size()) return bad("it has other units than were named");
  const ConstBytes bits = packed.subspan(Head::kBytes, head->bits_bytes());
  const ConstBytes rest = packed.subspan(Head::kBytes + bits.size());
  auto plain = unpacked(rest.first(head->skeleton_packed_bytes), head->skeleton_bytes);
  if (!plain) return plain.take_error();
  auto skeleton = chunk::Skeleton::decode(*plain, block_bytes);
  if (!skeleton) return skeleton.take_error();
  Recipe recipe(std::move(*skeleton));
  recipe.proof_ = head->proof;
  std::uint64_t payload = 0, literal = 0;
  for (std::size_t unit = 0; unit < unit_bytes.size(); ++unit) {
    payload += unit_bytes[unit];
    if ((std::to_integer<unsigned>(bits[unit / 8]) >> (unit % 8) & 1) == 0) continue;
    recipe.literal_.add(unit);
    literal += unit_bytes[unit];
  }
  if (payload != recipe.skeleton_.payload_bytes() || literal != head->literal_bytes)
    return bad("its units do not fit the block");
  recipe.unit_bytes_.assign(unit_bytes.begin(), unit_bytes.end());
  auto literals = unpacked(rest.subspan(head->skeleton_packed_bytes), head->literal_bytes);
  if (!literals) return literals.take_error();
  recipe.literals_ = std::move(*literals);
  return recipe;
}

std::vector<Gap> Recipe::put(Bytes block) const {
  skeleton_.put(block);
  std::vector<Gap> gaps;
  Scatter scatter(skeleton_.pieces());
  ConstBytes literals = literals_;
  for (std::uint32_t unit = 0; unit < unit_bytes_.size(); ++unit) {
    const bool literal = literal_.has(unit);
    scatter.each(unit_bytes_[unit], [&](std::size_t done, std::size_t offset, std::size_t count) {
      if (literal)
        copy_bytes(literals.subspan(done, count), block.subspan(offset));
      else
        gaps.push_back({unit, static_cast<std::uint32_t>(done), static_cast<std::uint32_t>(offset),
                        static_cast<std::uint32_t>(count)});
    });
    if (literal) literals = literals.subspan(unit_bytes_[unit]);
  }
  return gaps;
}

Result<std::vector<std::byte>> literals_of(ConstBytes packed, std::size_t block_bytes) {
  auto head = Head::take(packed, block_bytes);
  if (!head) return head.take_error();
  return unpacked(packed.last(head->literal_packed_bytes), head->literal_bytes);
}

}  // namespace zferry::pipeline
