// Sealer and Opener: one counter, one epoch key, one AEAD. The mirror halves stand below what they share.
#include "seal/lane_cipher.h"

#include <algorithm>

#include "seal/aead.h"
#include "seal/blake2b.h"

namespace zferry::seal {
namespace {

constexpr std::uint64_t kSequenceMax = std::uint64_t{1} << 62;
constexpr std::size_t kHeaderBytesMax = 56;

// What both directions share: the lane's key, the epoch's cipher, and the counter that nobody else touches.
class Lane {
 public:
  Lane(Cipher cipher, SecretBytes key, bool sealing)
      : cipher_(cipher), key_(std::move(key)), aead_(fastest_aead(cipher, sealing)) {}

  // The cipher, keyed for the epoch of the frame at the counter.
  Aead& aead() {
    if (const std::uint64_t epoch = sequence_ >> kEpochShift; epoch != epoch_) {
      aead_->set_key(epoch_key(key_, cipher_, epoch));
      epoch_ = epoch;
    }
    return *aead_;
  }
  AeadNonce nonce() const { return frame_nonce(sequence_); }
  // Header and sequence, as every frame authenticates them.
  ConstBytes associated(ConstBytes header) {
    ZF_ASSERT(header.size() <= kHeaderBytesMax);
    std::ranges::copy(header, associated_.begin());
    store_at(Bytes(associated_), header.size(), sequence_);
    return ConstBytes(associated_).first(header.size() + sizeof sequence_);
  }
  std::uint64_t sequence() const { return sequence_; }
  void advance() { ++sequence_; }

 private:
  Cipher cipher_;
  SecretBytes key_;
  std::unique_ptr<Aead> aead_;
  std::uint64_t sequence_ = 0;
  std::uint64_t epoch_ = ~std::uint64_t{0};  // none yet
  std::array<std::byte, kHeaderBytesMax + sizeof(std::uint64_t)> associated_{};
};

}  // namespace

std::string_view cipher_name(Cipher cipher) {
  switch (cipher) {
    case Cipher::kChaCha20Poly1305: return "ChaCha20-Poly1305";
    case Cipher::kAes256Gcm: return "AES-256-GCM";
  }
  return "unknown";
}

SecretBytes epoch_key(const SecretBytes& lane_key, Cipher cipher, std::uint64_t epoch) {
  const std::byte number{static_cast<unsigned char>(cipher)};
  SecretBytes key;
  Blake2b(kKeyBytes, lane_key.bytes())
      .add("zferry epoch")
      .add(ConstBytes(&number, 1))
      .add_u64(epoch)
      .finish(key.writable());
  return key;
}

AeadNonce frame_nonce(std::uint64_t sequence) {
  AeadNonce nonce{};
  store_at(Bytes(nonce), 4, sequence);
  return nonce;
}

struct Sealer::State {
  Lane lane;
};

Sealer::Sealer(Cipher cipher, SecretBytes key) : state_(new State{Lane(cipher, std::move(key), true)}) {}
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;
Sealer::~Sealer() = default;
std::uint64_t Sealer::sequence() const { return state_->lane.sequence(); }

void Sealer::seal(ConstBytes header, ConstBytes plaintext, Bytes out) {
  Lane& lane = state_->lane;
  ZF_ASSERT(lane.sequence() < kSequenceMax && out.size() == plaintext.size() + kTagBytes);
  lane.aead().seal(lane.nonce(), lane.associated(header), plaintext, out);
  lane.advance();
}

struct Opener::State {
  Lane lane;
  bool dead = false;
};

Opener::Opener(Cipher cipher, SecretBytes key) : state_(new State{Lane(cipher, std::move(key), false)}) {}
Opener::Opener(Opener&&) noexcept = default;
Opener& Opener::operator=(Opener&&) noexcept = default;
Opener::~Opener() = default;
std::uint64_t Opener::sequence() const { return state_->lane.sequence(); }

Status Opener::open(ConstBytes header, ConstBytes sealed, Bytes out) {
  Lane& lane = state_->lane;
  if (state_->dead) return Error{Fault::kProtocol, "an earlier frame of this lane did not open", {}};
  state_->dead = true;  // until it opened
  if (sealed.size() < kTagBytes || lane.sequence() >= kSequenceMax)
    return Error{Fault::kProtocol, "a frame is too short, or one too many", {}};
  ZF_ASSERT(out.size() == sealed.size() - kTagBytes);
  if (!lane.aead().open(lane.nonce(), lane.associated(header), sealed, out))
    return Error{Fault::kProtocol, "a frame does not open: damaged, out of order, or not from the peer", {}};
  lane.advance();
  state_->dead = false;
  return {};
}

}  // namespace zferry::seal
