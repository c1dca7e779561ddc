// Leaves: both implementations of Poly1305 agree, any splitting of a stream gives one digest, and any change another.
#include "seal/leaf.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <set>
#include <vector>

#include "seal/blake2b.h"
#include "seal/poly1305.h"

namespace zferry::seal {
namespace {

using Blob = std::vector<std::byte>;

Blob random_blob(SeededRandom& random, std::size_t bytes) {
  Blob blob(bytes);
  random.fill(blob);
  return blob;
}

TEST(Poly1305, EqualsLibsodium) {
  SeededRandom random(1);
  int compared = 0;
  for (int i = 0; i < 500; ++i, ++compared) {
    const SecretBytes key = SecretBytes::random(random);
    const Blob bytes = random_blob(random, random.below(i % 50 == 0 ? 1 << 20 : 2000));
    Poly1305::Tag expected;
    crypto_onetimeauth(as_uchar(Bytes(expected)), as_uchar(ConstBytes(bytes)), bytes.size(), as_uchar(key.bytes()));
    Poly1305 fastest(key), sodium(key, Poly1305::By::kSodium);
    for (ConstBytes rest(bytes); !rest.empty();) {
      const std::size_t count = 1 + random.below(rest.size());
      for (Poly1305* mac : {&fastest, &sodium}) {
        mac->add(rest.first(count));
        mac->tag();  // asking changes nothing
      }
      rest = rest.subspan(count);
    }
    EXPECT_EQ(fastest.tag(), expected);
    EXPECT_EQ(sodium.tag(), expected);
  }
  EXPECT_EQ(compared, 500);
}

TEST(Leaf, IsPoly1305UnderAKeyOfItsOwn) {
  SeededRandom random(2);
  const SecretBytes key = SecretBytes::random(random);
  const Blob bytes = random_blob(random, 1000);
  std::set<Leaf> leaves;
  for (std::uint64_t index = 0; index < 100; ++index) {
    std::array<std::byte, 19> label;  // "zferry leaf" and the index
    std::ranges::copy(as_bytes("zferry leaf"), label.begin());
    store_at(Bytes(label), 11, index);
    std::array<unsigned char, 32> one_time;
    crypto_generichash(one_time.data(), one_time.size(), as_uchar(ConstBytes(label)), label.size(),
                       as_uchar(key.bytes()), key.bytes().size());
    Leaf expected;
    crypto_onetimeauth(as_uchar(Bytes(expected)), as_uchar(ConstBytes(bytes)), bytes.size(), one_time.data());
    EXPECT_EQ(leaf_of(key, index, bytes), expected);
    leaves.insert(expected);
  }
  EXPECT_EQ(leaves.size(), 100u);
}

// The digest put together by hand.
StreamDigest plain_digest(const SecretBytes& key, std::size_t leaf_bytes, ConstBytes stream) {
  Blob leaves, last;
  for (std::size_t at = 0; at < stream.size(); at += leaf_bytes) {
    const std::size_t count = std::min(leaf_bytes, stream.size() - at);
    const Leaf leaf = leaf_of(key, at / leaf_bytes, stream.subspan(at, count));
    Blob& to = count == leaf_bytes ? leaves : last;
    to.insert(to.end(), leaf.begin(), leaf.end());
  }
  Blob outer(32);
  crypto_generichash(as_uchar(Bytes(outer)), 32, as_uchar(ConstBytes(leaves)), leaves.size(), nullptr, 0);
  outer.insert(outer.end(), last.begin(), last.end());
  outer.resize(outer.size() + 8);
  store_at(Bytes(outer), outer.size() - 8, std::uint64_t{stream.size()});
  StreamDigest digest;
  crypto_generichash(as_uchar(Bytes(digest)), digest.size(), as_uchar(ConstBytes(outer)), outer.size(),
                     as_uchar(key.bytes()), key.bytes().size());
  return digest;
}

TEST(LeafChain, AnySplittingGivesOneDigest) {
  SeededRandom random(3);
  int compared = 0;
  for (int i = 0; i < 600; ++i) {
    const std::size_t leaf_bytes = 1 + random.below(300);
    const SecretBytes key = SecretBytes::random(random);
    const Blob stream = random_blob(random, i % 7 == 0 ? leaf_bytes * random.below(12) : random.below(3000));
    LeafChain chain(key.copy(), leaf_bytes);
    for (ConstBytes rest(stream); !rest.empty();) {
      const std::uint64_t at = chain.stream_bytes();
      std::size_t count = 1 + random.below(random.chance(0.5) ? rest.size() : 2 * leaf_bytes);
      count = std::min(count, rest.size());
      if (at % leaf_bytes == 0 && rest.size() >= leaf_bytes && random.chance(0.5)) {
        count = leaf_bytes;
        chain.add_leaf(leaf_of(key, at / leaf_bytes, rest.first(count)));
      } else {
        chain.add_bytes(rest.first(count));
      }
      rest = rest.subspan(count);
      ASSERT_EQ(chain.stream_bytes(), at + count);
      ASSERT_EQ(chain.digest(), plain_digest(key, leaf_bytes, ConstBytes(stream).first(at + count)));
      ++compared;
    }
    ASSERT_EQ(chain.digest(), plain_digest(key, leaf_bytes, stream));
    LeafChain moved = std::move(chain);
    ASSERT_EQ(moved.stream_bytes(), stream.size());
  }
  EXPECT_GT(compared, 2000);
}

TEST(LeafChain, EveryChangeShows) {
  SeededRandom random(4);
  const SecretBytes key = SecretBytes::random(random), other = SecretBytes::random(random);
  const Blob stream = random_blob(random, 100);
  auto digest_of = [](const SecretBytes& with, std::size_t leaf_bytes, ConstBytes bytes) {
    LeafChain chain(with.copy(), leaf_bytes);
    chain.add_bytes(bytes);
    return chain.digest();
  };
  std::set<StreamDigest> digests{digest_of(key, 32, stream), digest_of(other, 32, stream)};
  for (std::size_t length = 0; length < stream.size(); ++length)
    digests.insert(digest_of(key, 32, ConstBytes(stream).first(length)));
  for (std::size_t i = 0; i < stream.size(); ++i) {
    Blob changed = stream;
    changed[i] ^= std::byte{1};
    digests.insert(digest_of(key, 32, changed));
  }
  Blob swapped = stream;  // whole leaves in another order
  std::swap_ranges(swapped.begin(), swapped.begin() + 32, swapped.begin() + 32);
  digests.insert(digest_of(key, 32, swapped));
  EXPECT_EQ(digests.size(), 2u + 100 + 100 + 1);
}

// At every leaf's end the chain changes hands; nothing may tell the two apart, whatever follows.
TEST(LeafChain, GoesOnWhereItWasSaved) {
  SeededRandom random(5);
  int compared = 0;
  for (int i = 0; i < 60; ++i) {
    const std::size_t leaf_bytes = 1 + random.below(40);
    const SecretBytes key = SecretBytes::random(random);
    const Blob stream = random_blob(random, leaf_bytes * random.below(40) + random.below(leaf_bytes));
    LeafChain chain(key.copy(), leaf_bytes), relay(key.copy(), leaf_bytes);
    for (std::size_t at = 0;; at += leaf_bytes) {
      ASSERT_TRUE(relay.at_leaf_bound());
      const Blob saved = relay.save();
      ASSERT_LT(saved.size(), 1000u);
      Result<LeafChain> restored = LeafChain::restore(key.copy(), leaf_bytes, saved);
      ASSERT_TRUE(restored) << restored.error().what;
      relay = std::move(*restored);
      ASSERT_EQ(relay.save(), saved);
      ASSERT_EQ(relay.stream_bytes(), at);
      ASSERT_EQ(relay.digest(), chain.digest());
      ++compared;
      if (stream.size() - at < leaf_bytes) break;
      const ConstBytes bytes = ConstBytes(stream).subspan(at, leaf_bytes);
      chain.add_bytes(bytes);
      if (random.chance(0.5)) {
        relay.add_leaf(leaf_of(key, at / leaf_bytes, bytes));
      } else {
        relay.add_bytes(bytes);
      }
    }
    const ConstBytes last = ConstBytes(stream).last(stream.size() % leaf_bytes);
    relay.add_bytes(last);
    EXPECT_EQ(relay.at_leaf_bound(), last.empty());
    ASSERT_EQ(relay.digest(), plain_digest(key, leaf_bytes, stream));
  }
  EXPECT_GT(compared, 800);
}

TEST(LeafChain, WhatWasNotSavedSoIsRefused) {
  SeededRandom random(6);
  const SecretBytes key = SecretBytes::random(random), other = SecretBytes::random(random);
  LeafChain chain(key.copy(), 16);
  chain.add_bytes(random_blob(random, 16 * 30));
  const Blob saved = chain.save();
  // The check put together by hand: the library's layout counts, so that another library gets nothing to misread.
  Blob covered;
  const auto layout = Blake2b::layout();
  for (const ConstBytes part :
       {as_bytes("zferry saved chain"), ConstBytes(layout), ConstBytes(saved).first(saved.size() - 32)})
    covered.insert(covered.end(), part.begin(), part.end());
  std::array<std::byte, 32> check;
  crypto_generichash(as_uchar(Bytes(check)), check.size(), as_uchar(ConstBytes(covered)), covered.size(),
                     as_uchar(key.bytes()), key.bytes().size());
  EXPECT_TRUE(std::ranges::equal(check, ConstBytes(saved).last(32)));
  std::size_t refused = 0;
  auto refuse = [&refused](const SecretBytes& with, std::size_t leaf_bytes, const Blob& bytes) {
    const Result<LeafChain> restored = LeafChain::restore(with.copy(), leaf_bytes, bytes);
    ASSERT_FALSE(restored);
    ASSERT_EQ(restored.error().fault, Fault::kStoreFailed);
    ++refused;
  };
  ASSERT_TRUE(LeafChain::restore(key.copy(), 16, saved));
  refuse(other, 16, saved);
  refuse(key, 8, saved);
  for (std::size_t bit = 0; bit < 8 * saved.size(); ++bit) {
    Blob damaged = saved;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    refuse(key, 16, damaged);
  }
  for (std::size_t bytes = 0; bytes < saved.size(); ++bytes) {
    Blob shorter = saved;
    shorter.resize(bytes);
    refuse(key, 16, shorter);
  }
  Blob longer = saved;
  longer.push_back(std::byte{0});
  refuse(key, 16, longer);
  EXPECT_EQ(refused, 3 + 9 * saved.size());
}

}  // namespace
}  // namespace zferry::seal
