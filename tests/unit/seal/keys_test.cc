// Keys: text there and back, every damaged text refused, secrets wiped.
#include "seal/keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace zferry::seal {
namespace {

bool same(ConstBytes a, ConstBytes b) { return std::ranges::equal(a, b); }

TEST(Keys, TextThereAndBack) {
  SeededRandom random(1);
  int compared = 0;
  for (int i = 0; i < 200; ++i, ++compared) {
    const SecretBytes secret = SecretBytes::random(random);
    const PublicKey key = public_key(secret);
    auto private_back = parse_private_key(private_key_text(secret));
    auto secret_back = parse_secret(" \t" + secret_text(secret) + "\r\n");
    auto public_back = parse_public_key(public_key_text(key) + "\n");
    ASSERT_TRUE(private_back && secret_back && public_back);
    EXPECT_TRUE(same(private_back->bytes(), secret.bytes()));
    EXPECT_TRUE(same(secret_back->bytes(), secret.bytes()));
    EXPECT_EQ(*public_back, key);
  }
  EXPECT_EQ(compared, 200);
}

TEST(Keys, TextIsStable) {
  const SecretBytes zero;
  EXPECT_EQ(private_key_text(zero), "zferry-private-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAe2-iL");
  EXPECT_EQ(secret_text(zero), "zferry-secret-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAw6V7Y");
}

TEST(Keys, EveryChangedCharacterIsRefused) {
  SeededRandom random(2);
  const std::string text = secret_text(SecretBytes::random(random));
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=.";
  int tried = 0;
  for (std::size_t at = 0; at < text.size(); ++at)
    for (char c : alphabet) {
      if (c == text[at]) continue;
      std::string changed = text;
      changed[at] = c;
      EXPECT_FALSE(parse_secret(changed)) << changed;
      ++tried;
    }
  EXPECT_GE(tried, static_cast<int>(text.size() * (alphabet.size() - 1)));
}

TEST(Keys, CutLongAndForeignTextsAreRefusedWithoutShowingThem) {
  SeededRandom random(3);
  const SecretBytes secret = SecretBytes::random(random);
  const std::string text = private_key_text(secret);
  int tried = 0;
  auto refused = [&](const std::string& bad) {
    auto result = parse_private_key(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().fault, Fault::kConfig);
    EXPECT_EQ(result.error().what.find(text.substr(15, 12)), std::string::npos);
    ++tried;
  };
  for (std::size_t length = 0; length < text.size(); ++length) refused(text.substr(0, length));
  refused(text + "A");
  refused(text + " " + text);
  refused(text + std::string(1, '\0'));
  refused(secret_text(secret));
  refused(public_key_text(public_key(secret)));
  refused("ssh-ed25519 AAAA");
  refused(" \n");
  EXPECT_EQ(tried, static_cast<int>(text.size()) + 7);
}

TEST(Keys, PublicKeysOfLowOrderAreRefused) {
  PublicKey zero{}, one{};
  one[0] = std::byte{1};
  EXPECT_FALSE(parse_public_key(public_key_text(zero)));
  EXPECT_FALSE(parse_public_key(public_key_text(one)));
}

TEST(Keys, MovedFromAndDestroyedSecretsAreWiped) {
  SeededRandom random(4);
  SecretBytes from = SecretBytes::random(random);
  const SecretBytes same_as_from = from.copy();
  SecretBytes to = std::move(from);
  const std::array<std::byte, kKeyBytes> zero{};
  EXPECT_TRUE(same(from.bytes(), zero));  // NOLINT(bugprone-use-after-move): that is the question
  EXPECT_TRUE(same(to.bytes(), same_as_from.bytes()));
  SecretBytes assigned;
  assigned = std::move(to);
  EXPECT_TRUE(same(to.bytes(), zero));  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(same(assigned.bytes(), same_as_from.bytes()));

  alignas(SecretBytes) std::array<std::byte, sizeof(SecretBytes)> memory{};
  auto* placed = std::construct_at(reinterpret_cast<SecretBytes*>(memory.data()), assigned.bytes());
  EXPECT_FALSE(same(memory, zero));
  std::destroy_at(placed);
  EXPECT_TRUE(same(memory, zero));
}

}  // namespace
}  // namespace zferry::seal
