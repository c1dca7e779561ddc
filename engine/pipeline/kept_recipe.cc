// A recipe as the store keeps it: u32 version, u16 count of units, u32 of each: its length; u16 count of blocks, each:
// where it lies; of each unit u16 count of runs (0: the recipe brings it), each: u16 block, u32 offset, u32 bytes; the
// recipe.
#include <algorithm>
#include <tuple>

#include "base/limits.h"
#include "base/saved.h"
#include "pipeline/recipe.h"

namespace zferry::pipeline {
namespace {

constexpr std::uint32_t kVersion = 1;

void put_place(SavedWriter& out, const store::BlockPlace& place) {
  out.array(place.session).integer(place.segment).array(place.check).integer(place.at);
  const store::BlockFacts& block = place.block;
  out.integer(block.number).integer(block.offset).integer(block.raw_bytes).integer(block.packed_bytes);
  out.integer(block.encoding);
}

store::BlockPlace take_place(SavedReader& in) {
  store::BlockPlace place;
  place.session = in.array<32>("session");
  place.segment = in.integer<std::uint32_t>("segment");
  place.check = in.array<16>("check");
  place.at = in.integer<std::uint32_t>("place");
  place.block.number = in.integer<std::uint64_t>("number");
  place.block.offset = in.integer<std::uint64_t>("offset");
  place.block.raw_bytes = in.integer<std::uint32_t>("length", 1, limits::kBlockBytesMax);
  place.block.packed_bytes = in.integer<std::uint32_t>("packed length", 1, limits::kBlockBytesMax);
  place.block.encoding = in.integer<std::uint8_t>("encoding");
  return place;
}

}  // namespace

std::vector<std::byte> encode_kept(const KeptRecipe& kept) {
  SavedWriter out(kVersion);
  out.integer(static_cast<std::uint16_t>(kept.unit_bytes.size()));
  for (std::uint32_t bytes : kept.unit_bytes) out.integer(bytes);
  std::vector<const store::BlockPlace*> places;
  const auto index_of = [&](const store::BlockPlace& place) {
    auto found = std::ranges::find_if(places, [&](const auto* other) { return *other == place; });
    if (found == places.end()) found = places.insert(places.end(), &place);
    return static_cast<std::uint16_t>(found - places.begin());
  };
  for (const auto& unit : kept.found)
    if (unit) index_of(unit->place);
  out.integer(static_cast<std::uint16_t>(places.size()));
  for (const store::BlockPlace* place : places) put_place(out, *place);
  for (const auto& unit : kept.found) {
    out.integer(static_cast<std::uint16_t>(unit ? unit->runs.size() : 0));
    if (!unit) continue;
    for (const store::Run& run : unit->runs) out.integer(index_of(unit->place)).integer(run.offset).integer(run.bytes);
  }
  out.array(kept.recipe);
  return out.take();
}

Result<KeptRecipe> decode_kept(ConstBytes bytes) {
  SavedReader in("a block of the store", kVersion, bytes);
  KeptRecipe kept;
  std::size_t taken = sizeof kVersion + sizeof(std::uint16_t);
  const auto units = in.integer<std::uint16_t>("units", 0, wire::kBlockUnitsMax);
  for (int i = 0; i < units && in.ok(); ++i)
    kept.unit_bytes.push_back(in.integer<std::uint32_t>("unit", 1, limits::kBlockBytesMax));
  taken += units * sizeof(std::uint32_t);
  const auto blocks = in.integer<std::uint16_t>("blocks", 0, wire::kBlockUnitsMax);
  std::vector<store::BlockPlace> places;
  for (int i = 0; i < blocks && in.ok(); ++i) places.push_back(take_place(in));
  taken += sizeof(std::uint16_t) + std::size_t{blocks} * 81;
  for (int i = 0; i < units && in.ok(); ++i) {
    std::optional<store::FoundRuns> unit;
    std::uint64_t sum = 0;
    const auto runs = in.integer<std::uint16_t>("runs", 0, store::kRunsMax);
    taken += sizeof runs + std::size_t{runs} * 10;
    for (int r = 0; r < runs && in.ok(); ++r) {
      const auto index = in.integer<std::uint16_t>("block");
      if (!in.check("block", index < places.size() && (!unit || unit->place == places[index]))) break;
      if (!unit) unit = store::FoundRuns{places[index], {}};
      store::Run run;
      run.offset = in.integer<std::uint32_t>("run");
      run.bytes = in.integer<std::uint32_t>("run", 1, limits::kBlockBytesMax);
      sum += run.bytes;
      unit->runs.push_back(run);
    }
    in.check("runs", !unit || sum == kept.unit_bytes[static_cast<std::size_t>(i)]);
    kept.found.push_back(std::move(unit));
  }
  if (in.ok()) in.array("recipe", bytes.size() - std::min(bytes.size(), taken));
  if (Status status = in.finish(); !status) return status.take_error();
  kept.recipe = bytes.subspan(taken);
  return kept;
}

Result<std::vector<store::BlockPlace>> places_in(const store::BlockFacts& block, ConstBytes packed) {
  std::vector<store::BlockPlace> places;
  if (static_cast<wire::Encoding>(block.encoding) != wire::Encoding::kChunks) return places;
  auto kept = decode_kept(packed);
  if (!kept) return kept.take_error();
  for (const auto& unit : kept->found)
    if (unit && std::ranges::find(places, unit->place) == places.end()) places.push_back(unit->place);
  return places;
}

}  // namespace zferry::pipeline
