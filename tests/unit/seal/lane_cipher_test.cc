// Lane ciphers: implementations interoperate, no (key, nonce) pair comes twice, and a frame that is damaged, cut,
// reordered or replayed ends the lane.
#include "seal/lane_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <unordered_set>

#include "seal/aead.h"

namespace zferry::seal {
namespace {

using Blob = std::vector<std::byte>;
constexpr std::array<std::byte, 8> kHeader{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}};

class LaneCipher : public testing::TestWithParam<Cipher> {
 protected:
  LaneCipher() : key_(SecretBytes::random(random_)) {}
  Sealer sealer() { return Sealer(GetParam(), key_.copy()); }
  Opener opener() { return Opener(GetParam(), key_.copy()); }
  Blob random_blob(std::size_t bytes) {
    Blob blob(bytes);
    random_.fill(blob);
    return blob;
  }
  static Blob seal(Sealer& sealer, ConstBytes plain, ConstBytes header = kHeader) {
    Blob sealed(plain.size() + kTagBytes);
    sealer.seal(header, plain, sealed);
    return sealed;
  }
  static bool opens(Opener& opener, Blob sealed, ConstBytes header = kHeader) {
    Blob plain(sealed.size() < kTagBytes ? 0 : sealed.size() - kTagBytes);
    return opener.open(header, sealed, plain).ok();
  }
  // The frame is refused, the counter stands still, and the lane is dead for good frames too.
  static void expect_dead_after(Opener& opener, const Blob& bad, const Blob& good, ConstBytes header = kHeader) {
    const std::uint64_t before = opener.sequence();
    EXPECT_FALSE(opens(opener, bad, header));
    EXPECT_EQ(opener.sequence(), before);
    EXPECT_FALSE(opens(opener, good));
    EXPECT_EQ(opener.sequence(), before);
  }

  SeededRandom random_{9};
  SecretBytes key_;
};
INSTANTIATE_TEST_SUITE_P(Ciphers, LaneCipher, testing::ValuesIn(ciphers_by_speed()), [](const auto& which) {
  return std::string(which.param == Cipher::kAes256Gcm ? "Aes256Gcm" : "ChaCha20Poly1305");
});

TEST_P(LaneCipher, OpensWhatWasSealed) {
  Sealer sealer = this->sealer();
  Opener opener = this->opener();
  std::size_t compared_bytes = 0;
  for (std::size_t bytes : {0, 1, 15, 16, 17, 63, 64, 65, 4096, 262143, 262144}) {
    const Blob plain = random_blob(bytes);
    Blob sealed = seal(sealer, plain);
    Blob back(bytes);
    ASSERT_TRUE(opener.open(kHeader, sealed, back));
    EXPECT_EQ(back, plain);
    compared_bytes += bytes;
  }
  EXPECT_EQ(compared_bytes, 528624u);
  EXPECT_EQ(sealer.sequence(), 11u);
  EXPECT_EQ(opener.sequence(), 11u);
}

TEST_P(LaneCipher, OpensInPlace) {
  Sealer sealer = this->sealer();
  Opener opener = this->opener();
  for (std::size_t bytes : {1, 100, 65536}) {
    const Blob plain = random_blob(bytes);
    Blob sealed = seal(sealer, plain);
    ASSERT_TRUE(opener.open(kHeader, sealed, Bytes(sealed).first(bytes)));
    EXPECT_TRUE(std::ranges::equal(ConstBytes(sealed).first(bytes), plain));
  }
}

TEST_P(LaneCipher, NoKeyAndNonceComeTwice) {
  // Zeros sealed are the key stream: 16 bytes of it that come twice would be a (key, nonce) pair that came twice.
  constexpr std::uint64_t kFrames = (std::uint64_t{3} << kEpochShift) + 10;
  const Blob zeros(16);
  std::unordered_set<std::string> streams;
  std::uint64_t sealed_frames = 0;
  Opener opener = this->opener();
  for (int lane = 0; lane < 2; ++lane) {
    Sealer sealer(GetParam(), lane == 0 ? key_.copy() : SecretBytes::random(random_));
    Blob sealed(zeros.size() + kTagBytes), back(zeros.size());
    for (std::uint64_t i = 0; i < kFrames; ++i, ++sealed_frames) {
      sealer.seal(kHeader, zeros, sealed);
      streams.emplace(as_text(ConstBytes(sealed).first(16)));
      if (lane == 0) {
        ASSERT_TRUE(opener.open(kHeader, sealed, back)) << i;
      }
    }
  }
  EXPECT_EQ(streams.size(), sealed_frames);
  EXPECT_EQ(sealed_frames, 2 * kFrames);
  EXPECT_EQ(opener.sequence(), kFrames);
}

TEST_P(LaneCipher, FramesAreSealedAsTheProtocolSays) {
  // Another reading of the document: nonce, associated data and epoch key put together by hand.
  Sealer sealer = this->sealer();
  auto plain_opener = GetParam() == Cipher::kAes256Gcm ? openssl_aead(GetParam(), false) : sodium_chacha20_poly1305();
  const std::uint64_t boundary = std::uint64_t{1} << kEpochShift;
  int compared = 0;
  for (std::uint64_t sequence = 0; sequence <= boundary; ++sequence) {
    const Blob sealed = seal(sealer, as_bytes("hello"));
    if (sequence > 1 && sequence < boundary - 1) continue;
    plain_opener->set_key(epoch_key(key_, GetParam(), sequence == boundary ? 1 : 0));
    AeadNonce nonce{};
    store_at(Bytes(nonce), 4, sequence);
    std::array<std::byte, 16> associated{};
    std::ranges::copy(kHeader, associated.begin());
    store_at(Bytes(associated), 8, sequence);
    Blob back(5);
    EXPECT_TRUE(plain_opener->open(nonce, associated, sealed, back)) << sequence;
    EXPECT_EQ(as_text(back), "hello");
    ++compared;
  }
  EXPECT_EQ(compared, 4);
}

TEST_P(LaneCipher, EveryFlippedByteIsRefused) {
  const Blob plain = random_blob(33);
  Sealer sealer = this->sealer();
  const Blob sealed = seal(sealer, plain);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < sealed.size(); ++i, ++refused) {
    Blob bad = sealed;
    bad[i] ^= std::byte{0x80};
    Opener opener = this->opener();
    expect_dead_after(opener, bad, sealed);
  }
  EXPECT_EQ(refused, 49u);
  for (std::size_t i = 0; i < kHeader.size(); ++i) {  // length, type, reserved bytes
    auto header = kHeader;
    header[i] ^= std::byte{1};
    Opener opener = this->opener();
    expect_dead_after(opener, sealed, sealed, header);
  }
}

TEST_P(LaneCipher, EveryTruncationAndExtensionIsRefused) {
  Sealer sealer = this->sealer();
  const Blob sealed = seal(sealer, random_blob(20));
  for (std::size_t bytes = 0; bytes <= sealed.size() + 20; ++bytes) {
    if (bytes == sealed.size()) continue;
    Blob bad = sealed;
    bad.resize(bytes);
    Opener opener = this->opener();
    expect_dead_after(opener, bad, sealed);
  }
}

TEST_P(LaneCipher, ReorderingReplayAndLossAreRefused) {
  Sealer sealer = this->sealer();
  const Blob first = seal(sealer, as_bytes("first")), second = seal(sealer, as_bytes("second"));
  Opener reordered = opener(), replayed = opener();
  expect_dead_after(reordered, second, first);
  ASSERT_TRUE(opens(replayed, first));
  expect_dead_after(replayed, first, second);
}

TEST_P(LaneCipher, AnotherKeyDoesNotOpen) {
  Sealer sealer = this->sealer();
  const Blob sealed = seal(sealer, as_bytes("frame"));
  Opener opener(GetParam(), SecretBytes::random(random_));
  expect_dead_after(opener, sealed, sealed);
}

TEST(LaneCiphers, NamesAndOrder) {
  EXPECT_EQ(cipher_name(Cipher::kChaCha20Poly1305), "ChaCha20-Poly1305");
  EXPECT_EQ(cipher_name(Cipher::kAes256Gcm), "AES-256-GCM");
  const auto& order = ciphers_by_speed();
  EXPECT_EQ(std::set<Cipher>(order.begin(), order.end()).size(), order.size());
  EXPECT_EQ(std::ranges::count(order, Cipher::kChaCha20Poly1305), 1);
  EXPECT_EQ(&order, &ciphers_by_speed());
}

TEST(LaneCiphers, NoKeyServesTwoCiphersOrEpochs) {
  SeededRandom random(4);
  const SecretBytes lane_key = SecretBytes::random(random);
  std::set<std::string> keys{std::string(as_text(lane_key.bytes()))};
  for (Cipher cipher : {Cipher::kChaCha20Poly1305, Cipher::kAes256Gcm})
    for (std::uint64_t epoch = 0; epoch < 100; ++epoch) {
      const SecretBytes key = epoch_key(lane_key, cipher, epoch);
      keys.emplace(as_text(key.bytes()));
    }
  EXPECT_EQ(keys.size(), 201u);
}

TEST(LaneCiphers, ImplementationsOfChaChaInteroperate) {
  auto by_openssl = openssl_aead(Cipher::kChaCha20Poly1305, true);
  auto openssl_opens = openssl_aead(Cipher::kChaCha20Poly1305, false);
  if (!by_openssl) GTEST_SKIP() << "this OpenSSL has no ChaCha20-Poly1305";
  auto sodium = sodium_chacha20_poly1305();
  SeededRandom random(5);
  int compared = 0;
  for (int i = 0; i < 400; ++i, ++compared) {
    const SecretBytes key = SecretBytes::random(random);
    for (Aead* aead : {by_openssl.get(), openssl_opens.get(), sodium.get()}) aead->set_key(key);
    const AeadNonce nonce = frame_nonce(random.next());
    Blob associated(random.below(40)), plain(random.below(i % 10 == 0 ? 300000 : 300));
    random.fill(associated);
    random.fill(plain);
    Blob one(plain.size() + kTagBytes), two(one.size()), back(plain.size());
    by_openssl->seal(nonce, associated, plain, one);
    sodium->seal(nonce, associated, plain, two);
    ASSERT_EQ(one, two);
    ASSERT_TRUE(openssl_opens->open(nonce, associated, two, back) && back == plain);
    ASSERT_TRUE(sodium->open(nonce, associated, one, back) && back == plain);
    one[random.below(one.size())] ^= std::byte{4};
    EXPECT_FALSE(openssl_opens->open(nonce, associated, one, back));
    EXPECT_FALSE(sodium->open(nonce, associated, one, back));
  }
  EXPECT_EQ(compared, 400);
}

}  // namespace
}  // namespace zferry::seal
