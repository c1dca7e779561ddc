// Sealing at rest: there and back for each cipher, bound to key, place and associated data, and no place twice.
#include "seal/rest_cipher.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace zferry::seal {
namespace {

class RestCipherTest : public testing::TestWithParam<Cipher> {};

TEST_P(RestCipherTest, OpensWhatWasSealedAtItsPlaceAlone) {
  SeededRandom random(3);
  const SecretBytes key = SecretBytes::random(random), other_key = SecretBytes::random(random);
  RestSealer sealer(GetParam(), key);
  RestOpener opener(GetParam(), key), other(GetParam(), other_key);
  int opened = 0;
  for (std::size_t bytes : {1, 15, 16, 17, 4096, 100000}) {
    std::vector<std::byte> plain(bytes), sealed(bytes + kTagBytes), out(bytes);
    random.fill(plain);
    const std::uint64_t place = 64 + bytes * 3;
    sealer.seal(place, as_bytes("facts"), plain, sealed);
    ASSERT_TRUE(opener.open(place, as_bytes("facts"), sealed, out));
    EXPECT_EQ(out, plain);
    ++opened;
    EXPECT_FALSE(opener.open(place + 1, as_bytes("facts"), sealed, out));
    EXPECT_FALSE(opener.open(place, as_bytes("fact"), sealed, out));
    EXPECT_FALSE(other.open(place, as_bytes("facts"), sealed, out));
    for (std::size_t at : {std::size_t{0}, bytes / 2, bytes - 1, bytes, bytes + kTagBytes - 1}) {
      sealed[at] ^= std::byte{1};
      EXPECT_FALSE(opener.open(place, as_bytes("facts"), sealed, out));
      sealed[at] ^= std::byte{1};
    }
    ASSERT_TRUE(opener.open(place, as_bytes("facts"), sealed, Bytes(sealed).first(bytes)));
  }
  EXPECT_EQ(opened, 6);
}

TEST_P(RestCipherTest, NoPlaceComesTwice) {
  RestSealer sealer(GetParam(), SecretBytes());
  std::array<std::byte, 8> plain{};
  std::array<std::byte, 24> out{};
  sealer.seal(100, {}, plain, out);
  sealer.seal(101, {}, plain, out);
  for (std::uint64_t place : {101, 100, 0}) EXPECT_DEATH(sealer.seal(place, {}, plain, out), "bug");
}

INSTANTIATE_TEST_SUITE_P(Each, RestCipherTest, testing::ValuesIn(ciphers_by_speed()),
                         [](const auto& cipher) { return "Cipher" + std::to_string(static_cast<int>(cipher.param)); });

}  // namespace
}  // namespace zferry::seal
