// Sealing and opening frames of 256 KiB with each implementation of each cipher, leaves of 1 MiB, and one whole
// handshake.
#include <benchmark/benchmark.h>

#include <vector>

#include "base/limits.h"
#include "base/random.h"
#include "seal/aead.h"
#include "seal/leaf.h"
#include "seal/noise.h"

namespace zferry::seal {
namespace {

enum Kind : int { kAes, kChachaOpenssl, kChachaSodium };

std::unique_ptr<Aead> make(int kind, bool sealing) {
  if (kind == kAes) return openssl_aead(Cipher::kAes256Gcm, sealing);
  return kind == kChachaOpenssl ? openssl_aead(Cipher::kChaCha20Poly1305, sealing) : sodium_chacha20_poly1305();
}

void count_bytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

void BM_Seal(benchmark::State& state) {
  auto aead = make(static_cast<int>(state.range(0)), true);
  aead->set_key(SecretBytes());
  std::vector<std::byte> plain(limits::kFrameBytesMax), out(plain.size() + kTagBytes);
  std::uint64_t sequence = 0;
  for (auto _ : state) aead->seal(frame_nonce(sequence++), {}, plain, out);
  count_bytes(state, plain.size());
}

void BM_Open(benchmark::State& state) {
  auto sealer = make(static_cast<int>(state.range(0)), true), opener = make(static_cast<int>(state.range(0)), false);
  sealer->set_key(SecretBytes());
  opener->set_key(SecretBytes());
  std::vector<std::byte> plain(limits::kFrameBytesMax), sealed(plain.size() + kTagBytes);
  sealer->seal(frame_nonce(0), {}, plain, sealed);
  for (auto _ : state)
    if (!opener->open(frame_nonce(0), {}, sealed, plain)) state.SkipWithError("does not open");
  count_bytes(state, plain.size());
}

// What a lane does: counter, epochs and associated data included.
void BM_LaneSeal(benchmark::State& state) {
  Sealer sealer(static_cast<Cipher>(state.range(0)), SecretBytes());
  const std::array<std::byte, 8> header{};
  std::vector<std::byte> plain(limits::kFrameBytesMax), out(plain.size() + kTagBytes);
  for (auto _ : state) sealer.seal(header, plain, out);
  count_bytes(state, plain.size());
}

void BM_Leaf(benchmark::State& state) {
  std::vector<std::byte> bytes(limits::kBlockBytesMax);
  const SecretBytes key;
  std::uint64_t index = 0;
  for (auto _ : state) benchmark::DoNotOptimize(leaf_of(key, index++, bytes));
  count_bytes(state, bytes.size());
}

void BM_HandshakeIk(benchmark::State& state) {
  SeededRandom random(1);
  const SecretBytes source = SecretBytes::random(random), target = SecretBytes::random(random);
  const PublicKey target_public = public_key(target);
  for (auto _ : state) {
    auto dialler = Handshake::ik_initiator(x25519(), random, source, target_public, {});
    auto listener = Handshake::ik_responder(x25519(), random, target, {});
    if (!listener.read_message(dialler.write_message({})) || !dialler.read_message(listener.write_message({})))
      state.SkipWithError("handshake failed");
  }
}

BENCHMARK(BM_Seal)->ArgName("kind")->DenseRange(kAes, kChachaSodium);
BENCHMARK(BM_Open)->ArgName("kind")->DenseRange(kAes, kChachaSodium);
BENCHMARK(BM_LaneSeal)->ArgName("cipher")->Arg(1)->Arg(2);
BENCHMARK(BM_Leaf);
BENCHMARK(BM_HandshakeIk);

}  // namespace
}  // namespace zferry::seal
