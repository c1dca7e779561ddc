#include "watches.h"

#include <memory>
#include <string>
#include <unordered_set>
#include <utility>

#include "pipeline/assembly.h"
#include "seal/aead.h"

namespace pipeline = zferry::pipeline;
namespace store = zferry::store;

// The engine's own, and what each is called by the linker.
std::unique_ptr<zferry::seal::Aead> real_fastest_aead(zferry::seal::Cipher cipher, bool sealing) __asm__(
    "__real__ZN6zferry4seal12fastest_aeadENS0_6CipherEb");
std::unique_ptr<zferry::seal::Aead> watched_fastest_aead(zferry::seal::Cipher cipher, bool sealing) __asm__(
    "__wrap__ZN6zferry4seal12fastest_aeadENS0_6CipherEb");

zferry::Result<zferry::wire::Ack> real_decode_ack(zferry::ConstBytes bytes) __asm__(
    "__real__ZN6zferry4wire10decode_ackESt4spanIKSt4byteLm18446744073709551615EE");
zferry::Result<zferry::wire::Ack> watched_decode_ack(zferry::ConstBytes bytes) __asm__(
    "__wrap__ZN6zferry4wire10decode_ackESt4spanIKSt4byteLm18446744073709551615EE");

zferry::wire::Message real_encode_need(const zferry::wire::Need& need) __asm__(
    "__real__ZN6zferry4wire6encodeERKNS0_4NeedE");
zferry::wire::Message watched_encode_need(const zferry::wire::Need& need) __asm__(
    "__wrap__ZN6zferry4wire6encodeERKNS0_4NeedE");

std::size_t
real_pack_recipe(const zferry::chunk::Layout& layout, zferry::ConstBytes block, const pipeline::UnitSet& missing, const std::vector<std::byte>& skeleton, const zferry::seal::Proof& proof, const pipeline::PackLiterals& pack, zferry::Bytes out) __asm__(
    "__real__ZN6zferry8pipeline11pack_recipeERKNS_5chunk6LayoutESt4spanIKSt4byteLm18446744073709551615EERKNS0_"
    "7UnitSetERKSt6vectorIS6_SaIS6_EERKSt5arrayIS6_Lm16EERKSt8functionIFmS8_S5_IS6_Lm18446744073709551615EEEE"
    "SM_");
std::size_t
watched_pack_recipe(const zferry::chunk::Layout& layout, zferry::ConstBytes block, const pipeline::UnitSet& missing, const std::vector<std::byte>& skeleton, const zferry::seal::Proof& proof, const pipeline::PackLiterals& pack, zferry::Bytes out) __asm__(
    "__wrap__ZN6zferry8pipeline11pack_recipeERKNS_5chunk6LayoutESt4spanIKSt4byteLm18446744073709551615EERKNS0_"
    "7UnitSetERKSt6vectorIS6_SaIS6_EERKSt5arrayIS6_Lm16EERKSt8functionIFmS8_S5_IS6_Lm18446744073709551615EEEE"
    "SM_");

zferry::Status
real_prove_block(const pipeline::Recipe& recipe, const zferry::seal::SecretBytes& leaf_key, std::uint64_t offset, zferry::Bytes block) __asm__(
    "__real__ZN6zferry8pipeline11prove_blockERKNS0_6RecipeERKNS_4seal11SecretBytesEmSt4spanISt4byteLm1844674407"
    "3709551615EE");
zferry::Status
watched_prove_block(const pipeline::Recipe& recipe, const zferry::seal::SecretBytes& leaf_key, std::uint64_t offset, zferry::Bytes block) __asm__(
    "__wrap__ZN6zferry8pipeline11prove_blockERKNS0_6RecipeERKNS_4seal11SecretBytesEmSt4spanISt4byteLm1844674407"
    "3709551615EE");

zferry::Status
real_unpack_kept(pipeline::Disk& disk, const zferry::seal::SecretBytes& leaf_key, std::uint64_t offset, zferry::ConstBytes kept, zferry::Bytes block) __asm__(
    "__real__ZN6zferry8pipeline11unpack_keptERNS0_4DiskERKNS_4seal11SecretBytesEmSt4spanIKSt4byteLm184467440737"
    "09551615EES7_IS8_Lm18446744073709551615EE");
zferry::Status
watched_unpack_kept(pipeline::Disk& disk, const zferry::seal::SecretBytes& leaf_key, std::uint64_t offset, zferry::ConstBytes kept, zferry::Bytes block) __asm__(
    "__wrap__ZN6zferry8pipeline11unpack_keptERNS0_4DiskERKNS_4seal11SecretBytesEmSt4spanIKSt4byteLm184467440737"
    "09551615EES7_IS8_Lm18446744073709551615EE");

bool real_pin(store::Session* session, const store::BlockPlace& place,
              std::uint64_t number) __asm__("__real__ZN6zferry5store7Session3pinERKNS0_10BlockPlaceEm");
bool watched_pin(store::Session* session, const store::BlockPlace& place,
                 std::uint64_t number) __asm__("__wrap__ZN6zferry5store7Session3pinERKNS0_10BlockPlaceEm");

namespace zferry::transfer {
namespace {

std::function<void(const wire::Need&)> need_look;
ChunkWatch chunks;
std::function<void(const wire::Ack&)> ack_look;
NonceWatch watch;
std::unordered_set<std::string> used;

class WatchedAead final : public seal::Aead {
 public:
  explicit WatchedAead(std::unique_ptr<seal::Aead> real) : real_(std::move(real)) {}
  void set_key(const seal::SecretBytes& key) override {
    key_.assign(reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size());
    real_->set_key(key);
  }
  void seal(const seal::AeadNonce& nonce, ConstBytes associated, ConstBytes plain, Bytes out) override {
    ++watch.sealed;
    bool fresh = used.insert(key_ + std::string(reinterpret_cast<const char*>(nonce.data()), nonce.size())).second;
    watch.reused += !fresh;
    real_->seal(nonce, associated, plain, out);
  }
  bool open(const seal::AeadNonce& nonce, ConstBytes associated, ConstBytes sealed, Bytes out) override {
    return real_->open(nonce, associated, sealed, out);
  }

 private:
  std::unique_ptr<seal::Aead> real_;
  std::string key_;
};

}  // namespace

const NonceWatch& nonce_watch() { return watch; }

void forget_nonces() {
  used.clear();
  watch = {};
}

void watch_acks(std::function<void(const wire::Ack&)> look) { ack_look = std::move(look); }

const ChunkWatch& chunk_watch() { return chunks; }

void watch_needs(std::function<void(const wire::Need&)> look) { need_look = std::move(look); }

}  // namespace zferry::transfer

zferry::Result<zferry::wire::Ack> watched_decode_ack(zferry::ConstBytes bytes) {
  auto ack = real_decode_ack(bytes);
  if (ack && zferry::transfer::ack_look) zferry::transfer::ack_look(*ack);
  return ack;
}

zferry::wire::Message watched_encode_need(const zferry::wire::Need& need) {
  if (zferry::transfer::need_look) zferry::transfer::need_look(need);
  return real_encode_need(need);
}

std::size_t watched_pack_recipe(const zferry::chunk::Layout& layout, zferry::ConstBytes block,
                                const pipeline::UnitSet& missing, const std::vector<std::byte>& skeleton,
                                const zferry::seal::Proof& proof, const pipeline::PackLiterals& pack,
                                zferry::Bytes out) {
  const std::size_t bytes = real_pack_recipe(layout, block, missing, skeleton, proof, pack, out);
  zferry::transfer::chunks.recipes += bytes > 0;
  return bytes;
}

zferry::Status watched_prove_block(const pipeline::Recipe& recipe, const zferry::seal::SecretBytes& leaf_key,
                                   std::uint64_t offset, zferry::Bytes block) {
  zferry::Status proved = real_prove_block(recipe, leaf_key, offset, block);
  zferry::transfer::chunks.proofs_failed += !proved;
  return proved;
}

zferry::Status watched_unpack_kept(pipeline::Disk& disk, const zferry::seal::SecretBytes& leaf_key,
                                   std::uint64_t offset, zferry::ConstBytes kept, zferry::Bytes block) {
  zferry::Status unpacked = real_unpack_kept(disk, leaf_key, offset, kept, block);
  zferry::transfer::chunks.replayed += unpacked.ok();
  return unpacked;
}

bool watched_pin(store::Session* session, const store::BlockPlace& place, std::uint64_t number) {
  const bool pinned = real_pin(session, place, number);
  ++(pinned ? zferry::transfer::chunks.pins : zferry::transfer::chunks.pins_refused);
  return pinned;
}

std::unique_ptr<zferry::seal::Aead> watched_fastest_aead(zferry::seal::Cipher cipher, bool sealing) {
  auto real = real_fastest_aead(cipher, sealing);
  if (!sealing) return real;
  return std::make_unique<zferry::transfer::WatchedAead>(std::move(real));
}
