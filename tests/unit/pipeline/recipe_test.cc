// Recipes over blocks of every shape: what is packed for an answer comes out again, what a block brings is found where
// it is said to be, the store's form holds the same; and bytes of any kind are refused or do no harm.
#include <gtest/gtest.h>

#include "base/saved.h"
#include "pipeline/assembly.h"
#include "unit/pipeline/named_blocks.h"
#include "unit/zstream/sample_streams.h"

namespace zferry::pipeline {
namespace {

using namespace testing;
using zstream::StreamWriter;
using zstream::testing::random_bytes;

// Short records of one object: extents of many units, and keys; `raw` ones have longer keys.
std::vector<std::byte> volume(std::size_t records, std::size_t record_bytes, bool raw, bool swapped = false) {
  StreamWriter writer({swapped, true});
  writer.begin({.features = std::uint64_t{raw} << zstream::kFeatureRaw, .toguid = 7, .toname = "pool/vol@a"});
  for (std::size_t i = 0; i < records; ++i) {
    SeededRandom random(i);
    writer.write(1, i * record_bytes, record_bytes, random_bytes(random, record_bytes));
  }
  writer.end();
  return writer.take();
}

struct Stream {
  std::string name;
  std::vector<std::byte> bytes;
};
std::vector<Stream> streams() {
  std::vector<Stream> all;
  for (auto& sample : zstream::testing::sample_streams()) all.push_back({sample.name, std::move(sample.bytes)});
  all.push_back({"a volume", volume(96, 8192, false)});
  all.push_back({"a volume, swapped", volume(40, 4096, false, true)});
  all.push_back({"a raw volume", volume(40, 4096, true)});
  all.push_back({"tiny records", volume(300, 512, false)});
  SeededRandom random(5);
  all.push_back({"no stream", random_bytes(random, 300'000)});
  return all;
}

// None missing, all, the first or the last alone, and any.
UnitSet missing_of(std::size_t units, int which, SeededRandom& random) {
  UnitSet missing;
  for (std::size_t unit = 0; unit < units; ++unit) {
    const bool is = which == 1 || (which == 2 && unit == 0) || (which == 3 && unit + 1 == units) ||
                    (which >= 4 && random.chance(which == 4 ? 0.1 : 0.6));
    if (is) missing.add(unit);
  }
  return missing;
}

class RecipeOf : public ::testing::Test {
 protected:
  // Every block of every stream with chunks, with several answers.
  template <class F>
  void each(F check) {
    for (const Stream& stream : streams()) {
      for (std::size_t block_bytes : {2048u, 16384u, 1u << 20}) {
        SCOPED_TRACE(stream.name + " in blocks of " + std::to_string(block_bytes));
        for (const CutBlock& block : cut_stream(stream.bytes, block_bytes)) {
          if (block.layout.chunks.empty()) continue;
          for (int which = 0; which < 6; ++which)
            check(block, missing_of(block.layout.units.size(), which, random), which);
        }
      }
    }
  }
  wire::Chunks named(const CutBlock& block) const { return name_chunks(ids, block.layout, block.bytes, block.header); }

  SeededRandom random{31};
  const seal::SecretBytes leaf_key = seal::SecretBytes::random(random);
  const chunk::IdKey ids{{std::byte{3}}};
};

TEST_F(RecipeOf, ABlockOfAnyShapeComesOutForAnyAnswer) {
  std::size_t made = 0, too_long = 0, keyed = 0, compared = 0;
  each([&](const CutBlock& block, const UnitSet& missing, int which) {
    const auto packed = recipe_of(block, missing, leaf_key, which % 2 == 0 ? pack::Mode::kAlways : pack::Mode::kOff);
    if (!packed) {
      ++too_long;
      return;
    }
    ASSERT_LT(packed->size(), block.bytes.size());
    const std::vector<std::uint32_t> unit_bytes = named(block).unit_bytes();
    ASSERT_EQ(unit_bytes.size(), block.layout.units.size());
    auto recipe = Recipe::decode(*packed, block.bytes.size(), unit_bytes);
    ASSERT_TRUE(recipe.ok()) << recipe.error().what;
    EXPECT_EQ(recipe->proof(), seal::proof_of(leaf_key, block.header.offset, block.bytes));
    std::vector<std::byte> block_made(block.bytes.size(), std::byte{0xee}), literals;
    std::size_t gap_bytes = 0, lacking = 0;
    for (const Gap& gap : recipe->put(block_made)) {
      ASSERT_FALSE(missing.has(gap.unit));
      const std::vector<std::byte> unit = unit_of(block, gap.unit);
      ASSERT_LE(gap.unit_offset + gap.bytes, unit.size());
      copy_bytes(ConstBytes(unit).subspan(gap.unit_offset, gap.bytes), Bytes(block_made).subspan(gap.offset));
      gap_bytes += gap.bytes;
    }
    for (std::size_t unit = 0; unit < unit_bytes.size(); ++unit) {
      ASSERT_EQ(recipe->brings(unit), missing.has(unit));
      const std::vector<std::byte> bytes = unit_of(block, unit);
      ASSERT_EQ(bytes.size(), unit_bytes[unit]);
      if (missing.has(unit)) literals.insert(literals.end(), bytes.begin(), bytes.end());
      lacking += missing.has(unit) ? 0 : bytes.size();
    }
    EXPECT_EQ(gap_bytes, lacking);
    EXPECT_TRUE(std::ranges::equal(recipe->literals(), literals));
    EXPECT_EQ(literals_of(*packed, block.bytes.size()).value(), literals);
    ASSERT_TRUE(recipe->finish(block_made).ok());
    ASSERT_TRUE(std::ranges::equal(block_made, block.bytes)) << "block at " << block.header.offset;
    ++made;
    keyed += block.layout.has_keys;
    compared += block_made.size();
  });
  EXPECT_GT(made, 1500u);
  EXPECT_GT(keyed, 100u);
  EXPECT_GT(too_long, 50u);
  EXPECT_GT(compared, 10'000'000u);
}

// The message that names a block's chunks holds all that the target goes by.
TEST_F(RecipeOf, WhatIsNamedIsWhatIsDecoded) {
  std::size_t units = 0;
  each([&](const CutBlock& block, const UnitSet&, int which) {
    if (which != 0) return;
    const wire::Message message = wire::encode(named(block));
    if (message.size() > limits::kControlBytesMax) return;  // what is cut in a test's own way only
    auto decoded = wire::decode_chunks(message);
    ASSERT_TRUE(decoded.ok()) << decoded.error().what;
    EXPECT_EQ(wire::encode(*decoded), message);
    std::vector<std::uint32_t> lengths;
    for (const chunk::Layout::Unit& unit : block.layout.units) lengths.push_back(unit.bytes);
    ASSERT_EQ(decoded->unit_bytes(), lengths);
    units += lengths.size();
  });
  EXPECT_GT(units, 3000u);
}

// Each run's bytes, hashed, are what the source named.
class Places : public RecipeOf {
 protected:
  void expect_named(const store::ChunkFacts& facts, ConstBytes in) {
    std::vector<ConstBytes> whole;
    for (const store::ChunkFacts::Unit& unit : facts.units) {
      std::vector<ConstBytes> runs;
      ASSERT_LE(unit.runs.size(), store::kRunsMax);
      for (const store::Run& run : unit.runs) {
        ASSERT_LE(std::size_t{run.offset} + run.bytes, in.size());
        runs.push_back(in.subspan(run.offset, run.bytes));
        compared += run.bytes;
      }
      whole.insert(whole.end(), runs.begin(), runs.end());
      const chunk::Id id = ids.id_of(runs);
      EXPECT_EQ(unit.id, chunk::sub_id(id));
      ++units;
    }
    ASSERT_LE(facts.units.size(), store::kUnitsMax);
    if (facts.id) {
      EXPECT_EQ(*facts.id, ids.id_of(whole));
    }
    wholes += facts.id.has_value();
  }
  std::size_t units = 0, wholes = 0, compared = 0;
};

TEST_F(Places, OfABlockThatCameAsItIs) {
  each([&](const CutBlock& block, const UnitSet&, int which) {
    if (which != 0) return;
    const auto chunks = chunks_in_block(named(block));
    EXPECT_EQ(chunks.size(), block.layout.chunks.size());
    for (const store::ChunkFacts& facts : chunks) {
      EXPECT_TRUE(facts.id);
      expect_named(facts, block.bytes);
    }
  });
  EXPECT_GT(units, 3000u);
  EXPECT_GT(wholes, 1000u);
  EXPECT_GT(compared, 2'000'000u);
}

TEST_F(Places, OfARecipe) {
  std::size_t partly = 0;
  each([&](const CutBlock& block, const UnitSet& missing, int) {
    const auto packed = recipe_of(block, missing, leaf_key);
    if (!packed) return;
    const wire::Chunks of = named(block);
    auto recipe = Recipe::decode(*packed, block.bytes.size(), of.unit_bytes());
    ASSERT_TRUE(recipe.ok());
    std::size_t brought = 0, there = 0;
    for (const store::ChunkFacts& facts : chunks_in_recipe(of, *recipe)) {
      expect_named(facts, recipe->literals());
      there += facts.units.size();
      partly += !facts.id;
    }
    for (std::size_t unit = 0; unit < block.layout.units.size(); ++unit) brought += missing.has(unit);
    EXPECT_EQ(there, brought);
  });
  EXPECT_GT(units, 2000u);
  EXPECT_GT(wholes, 500u);
  EXPECT_GT(partly, 100u);
  EXPECT_GT(compared, 1'500'000u);
}

class Kept : public RecipeOf {
 protected:
  store::BlockPlace any_place() {
    store::BlockPlace place;
    random.fill(place.session);
    random.fill(place.check);
    place.segment = static_cast<std::uint32_t>(random.below(1000));
    place.at = static_cast<std::uint32_t>(random.next());
    place.block = {random.next(), random.next(), 1 + static_cast<std::uint32_t>(random.below(limits::kBlockBytesMax)),
                   1 + static_cast<std::uint32_t>(random.below(limits::kBlockBytesMax)),
                   static_cast<std::uint8_t>(random.below(3))};
    return place;
  }
  // Found in a few blocks, each unit in some runs.
  std::vector<std::optional<store::FoundRuns>> any_places(const std::vector<std::uint32_t>& unit_bytes,
                                                          const UnitSet& missing) {
    std::vector<store::BlockPlace> places;
    for (std::uint64_t n = 1 + random.below(5); n > 0; --n) places.push_back(any_place());
    std::vector<std::optional<store::FoundRuns>> found(unit_bytes.size());
    for (std::size_t unit = 0; unit < found.size(); ++unit) {
      if (missing.has(unit)) continue;
      found[unit] = store::FoundRuns{places[random.below(places.size())], {}};
      for (std::uint32_t rest = unit_bytes[unit]; rest > 0;) {
        const bool last = found[unit]->runs.size() + 1 == store::kRunsMax;
        const std::uint32_t bytes = last ? rest : 1 + static_cast<std::uint32_t>(random.below(rest));
        found[unit]->runs.push_back({static_cast<std::uint32_t>(random.next()), bytes});
        rest -= bytes;
      }
    }
    return found;
  }
};

TEST_F(Kept, ComesOutAsItWentIn) {
  std::size_t compared = 0, runs = 0;
  each([&](const CutBlock& block, const UnitSet& missing, int) {
    const std::vector<std::uint32_t> unit_bytes = named(block).unit_bytes();
    const auto found = any_places(unit_bytes, missing);
    const std::vector<std::byte> recipe = random_bytes(random, random.below(500));
    const std::vector<std::byte> encoded = encode_kept({unit_bytes, found, recipe});
    auto kept = decode_kept(encoded);
    ASSERT_TRUE(kept.ok()) << kept.error().what;
    EXPECT_EQ(kept->unit_bytes, unit_bytes);
    EXPECT_TRUE(std::ranges::equal(kept->recipe, recipe));
    ASSERT_EQ(kept->found.size(), found.size());
    for (std::size_t unit = 0; unit < found.size(); ++unit) {
      ASSERT_EQ(kept->found[unit].has_value(), found[unit].has_value());
      if (!found[unit]) continue;
      EXPECT_EQ(kept->found[unit]->place, found[unit]->place);
      EXPECT_EQ(kept->found[unit]->runs, found[unit]->runs);
      runs += found[unit]->runs.size();
      ++compared;
    }
  });
  EXPECT_GT(compared, 3000u);
  EXPECT_GT(runs, 10'000u);
}

// ---- Bytes of any kind.

// Some blocks of each shape, not too long to be tried often.
std::vector<Stream> some_streams() {
  SeededRandom random(6);
  return {{"a volume", volume(12, 1024, false)},
          {"a raw volume", volume(12, 1024, true)},
          {"swapped", volume(9, 512, false, true)},
          {"no stream", random_bytes(random, 12'000)}};
}

void damage(std::vector<std::byte>& bytes, SeededRandom& random, std::size_t within) {
  const std::size_t most = std::min(bytes.size(), within);
  for (std::uint64_t n = 1 + random.below(3); n > 0 && most > 0; --n) {
    const std::size_t at = random.below(most);
    const std::uint8_t likely[] = {0, 1, 0x7f, 0x80, 0xff};
    bytes[at] = random.chance(0.5) ? static_cast<std::byte>(likely[random.below(5)])
                                   : static_cast<std::byte>(random.below(256));
    // A length as a whole, at times.
    if (random.chance(0.2) && at + 4 <= bytes.size())
      store_at(Bytes(bytes), at, static_cast<std::uint32_t>(random.next() >> random.below(64)));
  }
  if (random.chance(0.1)) bytes.resize(random.below(bytes.size() + 1));
}

struct Tally {
  std::size_t refused = 0, taken = 0, proved = 0;
};

// What a target does with a recipe, however it came about; the gaps are filled with what is right.
void put_together(const CutBlock& block, ConstBytes packed, const std::vector<std::uint32_t>& unit_bytes,
                  const seal::SecretBytes& leaf_key, Tally& tally) {
  auto recipe = Recipe::decode(packed, block.bytes.size(), unit_bytes);
  if (!recipe) {
    EXPECT_EQ(recipe.error().fault, Fault::kProtocol);
    ++tally.refused;
    return;
  }
  std::vector<std::byte> made(block.bytes.size());
  for (const Gap& gap : recipe->put(made)) {
    ASSERT_LT(gap.unit, unit_bytes.size());
    ASSERT_LE(std::uint64_t{gap.offset} + gap.bytes, made.size());
    ASSERT_LE(std::uint64_t{gap.unit_offset} + gap.bytes, unit_bytes[gap.unit]);
    const std::vector<std::byte> unit = unit_of(block, gap.unit);
    copy_bytes(ConstBytes(unit).subspan(gap.unit_offset, gap.bytes), Bytes(made).subspan(gap.offset));
  }
  ASSERT_LE(recipe->literals().size(), made.size());
  const bool right = prove_block(*recipe, leaf_key, block.header.offset, made).ok();
  EXPECT_TRUE(!right || std::ranges::equal(made, block.bytes)) << "another block has the same proof";
  ++tally.taken;
  tally.proved += right;
}

TEST_F(RecipeOf, AnyBytesAreRefusedOrDoNoHarm) {
  Tally head, plain, packed;
  for (const Stream& stream : some_streams()) {
    SCOPED_TRACE(stream.name);
    for (const CutBlock& block : cut_stream(stream.bytes, 4096)) {
      if (block.layout.chunks.empty()) continue;
      const std::vector<std::uint32_t> unit_bytes = named(block).unit_bytes();
      for (int i = 0; i < 1500; ++i) {
        const UnitSet missing = missing_of(unit_bytes.size(), i % 6, random);
        PlainRecipe recipe = plain_recipe(block, missing, leaf_key);
        auto bytes = recipe.bytes();
        damage(bytes, random, 40 + recipe.bits.size());
        put_together(block, bytes, unit_bytes, leaf_key, head);
        damage(recipe.skeleton, random, i % 2 == 0 ? 60 : recipe.skeleton.size());
        put_together(block, recipe.bytes(), unit_bytes, leaf_key, plain);
        if (i % 5 != 0) continue;
        auto whole = recipe_of(block, missing, leaf_key);
        if (!whole) continue;
        damage(*whole, random, whole->size());
        put_together(block, *whole, unit_bytes, leaf_key, packed);
      }
    }
  }
  EXPECT_GT(head.refused, 10'000u);
  EXPECT_GT(head.taken, 2000u);
  EXPECT_GT(plain.refused, 5000u);
  EXPECT_GT(plain.taken, 2000u);
  EXPECT_GT(packed.refused, 1000u);
  EXPECT_GT(packed.taken, 200u);
  EXPECT_LT(plain.proved, plain.taken) << "damage is seen";
}

// Lengths that are no block's are refused before anything is as long as they say.
TEST_F(RecipeOf, LengthsWithoutBoundsAreRefused) {
  const auto stream = volume(12, 1024, false);
  const auto blocks = cut_stream(stream, 4096);
  const CutBlock& block = blocks[1];
  const std::vector<std::uint32_t> unit_bytes = named(block).unit_bytes();
  const auto good = plain_recipe(block, missing_of(unit_bytes.size(), 1, random), leaf_key).bytes();
  ASSERT_TRUE(Recipe::decode(good, block.bytes.size(), unit_bytes).ok());
  int checked = 0;
  for (std::size_t at : {16, 20, 24, 28}) {
    for (std::uint32_t length : {0u, 4097u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      auto bytes = good;
      store_at(Bytes(bytes), at, length);
      EXPECT_FALSE(Recipe::decode(bytes, block.bytes.size(), unit_bytes).ok()) << at << ": " << length;
      if (length > block.bytes.size() && at >= 24) {
        EXPECT_FALSE(literals_of(bytes, block.bytes.size()).ok());
      }
      ++checked;
    }
  }
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes, ++checked) {
    EXPECT_FALSE(Recipe::decode(ConstBytes(good).first(bytes), block.bytes.size(), unit_bytes).ok());
  }
  std::vector<std::uint32_t> more = unit_bytes, other = unit_bytes;
  more.push_back(1);
  ++other[0];
  EXPECT_FALSE(Recipe::decode(good, block.bytes.size(), more).ok());
  EXPECT_FALSE(Recipe::decode(good, block.bytes.size(), other).ok());
  EXPECT_FALSE(Recipe::decode(good, block.bytes.size(), {}).ok());
  EXPECT_FALSE(Recipe::decode(good, block.bytes.size() - 1, unit_bytes).ok());
  EXPECT_GT(checked, 3000);
}

// Places of pieces that, as sums, go round: the pieces would not stand in order, and what lies between them would be
// more than there is.
TEST_F(RecipeOf, PiecesThatGoRoundAreRefused) {
  constexpr std::uint32_t kBlock = 4096;
  int refused = 0;
  for (std::uint32_t back : {1u, 50u, 100u, 4000u, 0x7fffffffu}) {
    for (std::uint32_t pieces : {2u, 3u, 40u}) {
      SavedWriter out(1);
      out.integer(std::uint8_t{0}).integer(pieces);
      // Near the block's end, then back, and there again.
      out.integer(std::uint32_t{4000});
      for (std::uint32_t i = 1; i < pieces; ++i) out.integer(i % 2 == 1 ? 0u - back : back);
      for (std::uint32_t i = 0; i < pieces; ++i) out.integer(std::uint32_t{1});
      out.integer(std::uint32_t{0}).flag(false).flag(false);
      out.array(std::vector<std::byte>(kBlock - pieces));
      PlainRecipe recipe;
      recipe.units = static_cast<std::uint16_t>(pieces);
      recipe.bits.resize((pieces + 7) / 8);
      recipe.skeleton = out.take();
      auto decoded = Recipe::decode(recipe.bytes(), kBlock, std::vector<std::uint32_t>(pieces, 1));
      EXPECT_FALSE(decoded.ok()) << back << ", " << pieces;
      refused += !decoded.ok();
    }
  }
  EXPECT_EQ(refused, 15);
}

TEST_F(Kept, AnyBytesAreRefusedOrDoNoHarm) {
  std::size_t refused = 0, taken = 0, again = 0;
  for (const Stream& stream : some_streams()) {
    SCOPED_TRACE(stream.name);
    for (const CutBlock& block : cut_stream(stream.bytes, 4096)) {
      if (block.layout.chunks.empty()) continue;
      const std::vector<std::uint32_t> unit_bytes = named(block).unit_bytes();
      for (int i = 0; i < 2000; ++i) {
        const UnitSet missing = missing_of(unit_bytes.size(), i % 6, random);
        const auto recipe = plain_recipe(block, missing, leaf_key).bytes();
        auto bytes = encode_kept({unit_bytes, any_places(unit_bytes, missing), recipe});
        damage(bytes, random, i % 2 == 0 ? 120 : bytes.size());
        auto kept = decode_kept(bytes);
        if (!kept) {
          EXPECT_EQ(kept.error().fault, Fault::kStoreFailed);
          ++refused;
          continue;
        }
        ++taken;
        ASSERT_EQ(kept->found.size(), kept->unit_bytes.size());
        for (std::size_t unit = 0; unit < kept->found.size(); ++unit) {
          if (!kept->found[unit]) continue;
          std::uint64_t sum = 0;
          for (const store::Run& run : kept->found[unit]->runs) sum += run.bytes;
          ASSERT_EQ(sum, kept->unit_bytes[unit]);
        }
        ASSERT_LE(kept->recipe.size(), bytes.size());
        // Places that nothing is at may be more than are written again.
        again += encode_kept(*kept) == bytes;
        auto decoded = Recipe::decode(kept->recipe, block.bytes.size(), kept->unit_bytes);
        if (decoded) {
          std::vector<std::byte> made(block.bytes.size());
          for (const Gap& gap : decoded->put(made)) ASSERT_LE(std::uint64_t{gap.offset} + gap.bytes, made.size());
        }
      }
    }
  }
  EXPECT_GT(refused, 8000u);
  EXPECT_GT(taken, 5000u);
  EXPECT_GT(again, 2000u);
}

}  // namespace
}  // namespace zferry::pipeline
