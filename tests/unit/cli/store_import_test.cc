// import_stream(), on real folders: what it keeps is found by the ids that a source would name, and by nobody else's.
#include <fcntl.h>

#include "base/unique_fd.h"
#include "io/posix_folder.h"
#include "io/state_folder.h"
#include "pipeline/dedup_scope.h"
#include "pipeline/names.h"
#include "pipeline/plain_blocks.h"
#include "pipeline/store_key.h"
#include "store.h"
#include "unit/cli/folder.h"
#include "zstream/writer.h"

namespace zferry {
namespace {

using store::Store;
using zferry::testing::Folder;
using Payload = std::vector<std::byte>;

constexpr std::size_t kRecord = 128 * limits::KiB;  // as long as a chunk of records is

Payload random_payload(std::uint64_t seed, std::size_t bytes) {
  SeededRandom random(seed);
  Payload payload(bytes);
  random.fill(payload);
  return payload;
}

std::vector<Payload> random_payloads(std::size_t count, std::uint64_t seed) {
  std::vector<Payload> payloads;
  for (std::size_t i = 0; i < count; ++i) payloads.push_back(random_payload(seed + i, kRecord));
  return payloads;
}

Payload zfs_stream(const std::vector<Payload>& payloads) {
  zstream::StreamWriter writer;
  writer.begin({.toguid = 5, .toname = "tank/vm@monday"});
  writer.object(2, {});
  for (std::size_t i = 0; i < payloads.size(); ++i) writer.write(2, i * kRecord, kRecord, payloads[i]);
  writer.end();
  return writer.take();
}

class StoreImportTest : public ::testing::Test {
 protected:
  StoreImportTest() : place_{folder_.path("store"), folder_.path("state")} {
    settings_.peer.fill(std::byte{1});
    others_.fill(std::byte{2});
  }

  Status import(ConstBytes stream) {
    const std::string file = folder_.write("stream", std::string(as_text(stream)));
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    done_ = {};
    return import_stream(place_, settings_, fd.get(), done_);
  }
  // As a recv has it open.
  std::unique_ptr<Store> open() {
    io::PosixStateFolder state(place_.state_folder);
    EXPECT_TRUE(state.prepare());
    auto key = pipeline::store_key(state, system_random());
    EXPECT_TRUE(key);
    posix_ = std::make_unique<io::PosixFolder>(place_.folder);
    store::StoreSettings settings;
    settings.window = true;
    auto store = Store::open(*posix_, *key, settings, system_random());
    EXPECT_TRUE(store) << store.error().what;
    return std::move(*store);
  }
  // Which of these chunks are found for a peer, and are what they should be.
  std::size_t found(Store& store, const std::vector<Payload>& chunks, const seal::PublicKey& peer) {
    const store::Scope scope = pipeline::scope_of(pipeline::DedupScope::kPeer, peer, {}, {});
    const seal::SecretBytes secret = store.chunk_key(scope);
    std::array<std::byte, 32> seed{};
    std::ranges::copy(secret.bytes(), seed.begin());
    const chunk::IdKey key(seed);
    pipeline::PlainBlocks blocks;
    std::size_t count = 0;
    for (const Payload& chunk : chunks) {
      const auto place = store.find(scope, key.id_of(ConstBytes(chunk)), chunk.size());
      if (!place) continue;
      Payload read(chunk.size());
      EXPECT_TRUE(blocks.read(store, *place, read));
      count += read == chunk;
    }
    return count;
  }
  std::size_t found(const std::vector<Payload>& chunks) {
    auto store = open();
    const std::size_t count = found(*store, chunks, settings_.peer);
    store.reset();
    posix_.reset();
    return count;
  }

  Folder folder_;
  StorePlace place_;
  ImportSettings settings_;
  seal::PublicKey others_{};
  StoreImport done_;
  std::unique_ptr<io::PosixFolder> posix_;
};

TEST_F(StoreImportTest, WhatIsImportedIsFoundByThatPeerAlone) {
  const auto payloads = random_payloads(40, 100);
  const Payload stream = zfs_stream(payloads);
  const Status status = import(stream);
  ASSERT_TRUE(status) << status.error().what;
  EXPECT_EQ(done_.stream_bytes, stream.size());
  EXPECT_GE(done_.new_chunks, 40u);
  EXPECT_GE(done_.chunks, done_.new_chunks);
  EXPECT_GE(done_.new_bytes, 40 * kRecord);
  EXPECT_LT(done_.new_bytes, stream.size());
  EXPECT_GT(done_.window_bytes, done_.new_bytes);
  EXPECT_GT(done_.used_bytes, done_.window_bytes);
  auto contents = store_contents(place_);
  ASSERT_TRUE(contents) << contents.error().what;
  EXPECT_TRUE(contents->sessions.empty()) << "no session comes of it";
  EXPECT_EQ(contents->window_bytes, done_.window_bytes);
  EXPECT_EQ(contents->used_bytes, done_.used_bytes);
  EXPECT_GT(contents->window_segments, 0u);
  EXPECT_EQ(contents->savings.looked_bytes, 0u) << "nothing was to be sent";
  auto verdict = verify_store(place_);
  ASSERT_TRUE(verdict);
  EXPECT_GT(verdict->window_blocks, 0u);
  EXPECT_EQ(verdict->window_damaged, 0u);
  auto store = open();
  EXPECT_EQ(found(*store, payloads, settings_.peer), 40u);
  EXPECT_EQ(found(*store, payloads, others_), 0u);
}

TEST_F(StoreImportTest, OnlyWhatIsNewIsKept) {
  auto payloads = random_payloads(40, 100);
  ASSERT_TRUE(import(zfs_stream(payloads)));
  const StoreImport first = done_;
  ASSERT_TRUE(import(zfs_stream(payloads)));
  EXPECT_EQ(done_.chunks, first.chunks);
  EXPECT_EQ(done_.new_chunks, 0u);
  EXPECT_EQ(done_.new_bytes, 0u);
  EXPECT_EQ(done_.window_bytes, first.window_bytes);
  payloads[7] = random_payload(7, kRecord);
  ASSERT_TRUE(import(zfs_stream(payloads)));
  EXPECT_GE(done_.new_chunks, 1u);
  EXPECT_LT(done_.new_bytes, kRecord * 5 / 4) << "one record, not the block that it stands in";
  EXPECT_EQ(found(payloads), 40u);
}

TEST_F(StoreImportTest, PlainBytes) {
  const Payload old = random_payload(1, 10'000'019);
  ASSERT_TRUE(import(old));
  EXPECT_EQ(done_.stream_bytes, old.size());
  EXPECT_EQ(done_.new_bytes, old.size());
  Payload longer(old.begin(), old.begin() + 5'000'000);
  const Payload inserted = random_payload(2, 33);
  longer.insert(longer.end(), inserted.begin(), inserted.end());
  longer.insert(longer.end(), old.begin() + 5'000'000, old.end());
  ASSERT_TRUE(import(longer));
  EXPECT_LT(done_.new_bytes, limits::kBlockBytesMax);
  EXPECT_GT(done_.new_bytes, 0u);
  const Payload zeros(4 * limits::MiB);
  ASSERT_TRUE(import(zeros));
  EXPECT_LT(done_.used_bytes, old.size() + limits::kBlockBytesMax + 64 * limits::KiB) << "it is packed";
}

TEST_F(StoreImportTest, OfAStreamThatBreaksWhatCameBeforeIsKept) {
  const auto payloads = random_payloads(24, 100);
  const Payload stream = zfs_stream(payloads);
  Status status = import(ConstBytes(stream).first(stream.size() / 2));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().fault, Fault::kStreamIncomplete);
  EXPECT_EQ(done_.stream_bytes, stream.size() / 2);
  const std::size_t half = found(payloads);
  EXPECT_GE(half, 10u);
  EXPECT_LE(half, 12u);
  Payload damaged = stream;
  damaged[stream.size() * 3 / 4] ^= std::byte{4};
  status = import(damaged);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().fault, Fault::kStreamDamaged);
  EXPECT_GT(done_.new_chunks, 0u);
  const std::size_t more = found(payloads);
  EXPECT_GE(more, 15u);
  EXPECT_LT(more, 24u);
  ASSERT_TRUE(import(stream));
  EXPECT_EQ(found(payloads), 24u);
}

TEST_F(StoreImportTest, AFullStoreKeepsWhatItTook) {
  settings_.capacity_bytes = limits::kCapacityMin;
  settings_.segment_bytes = limits::kCapacityMin / 8;
  const auto payloads = random_payloads(640, 100);  // 80 MiB
  const Status status = import(zfs_stream(payloads));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().fault, Fault::kStoreFull) << status.error().what;
  EXPECT_GT(done_.new_bytes, limits::kCapacityMin / 2);
  EXPECT_LE(done_.used_bytes, limits::kCapacityMin);
  EXPECT_GT(done_.window_bytes, limits::kCapacityMin / 2);
  EXPECT_GT(found(payloads), 256u);
  auto contents = store_contents(place_);
  ASSERT_TRUE(contents);
  EXPECT_TRUE(contents->sessions.empty());
}

TEST_F(StoreImportTest, WhatAnInterruptedOneLeftIsCleared) {
  const auto payloads = random_payloads(8, 100);
  {
    auto store = open();
    auto session = store->begin(pipeline::destination_id("zferry store import"), "zferry store import");
    ASSERT_TRUE(session);
    ASSERT_TRUE((*session)->append({0, 0, 1000, 400, 1}, Payload(400)));
    ASSERT_TRUE((*session)->commit());
    auto other = store->begin(pipeline::destination_id("stdout"), "s -> stdout");
    ASSERT_TRUE(other);
    ASSERT_TRUE((*other)->commit());
  }
  posix_.reset();
  EXPECT_EQ(store_contents(place_)->sessions.size(), 2u);
  ASSERT_TRUE(import(zfs_stream(payloads)));
  auto contents = store_contents(place_);
  ASSERT_TRUE(contents);
  ASSERT_EQ(contents->sessions.size(), 1u);
  EXPECT_EQ(contents->sessions[0].destination, "stdout") << "a recv's is left alone";
  EXPECT_EQ(found(payloads), 8u);
}

TEST_F(StoreImportTest, WhatCannotBeOpenedIsLeftAlone) {
  const Payload stream = zfs_stream(random_payloads(1, 1));
  {
    auto store = open();
    const Status busy = import(stream);
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().fault, Fault::kBusy);
  }
  posix_.reset();
  EXPECT_EQ(done_.stream_bytes, 0u);
  place_.state_folder = folder_.path("other-state");
  const Status keyless = import(stream);
  ASSERT_FALSE(keyless);
  EXPECT_EQ(keyless.error().fault, Fault::kStateFailed) << keyless.error().what;
  EXPECT_FALSE(std::filesystem::exists(place_.state_folder)) << "a second key would be of no use";
  place_.folder = folder_.path("foreign");
  std::filesystem::create_directory(place_.folder);
  folder_.write("foreign/notes", "mine");
  const Status foreign = import(stream);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().fault, Fault::kStoreFailed);
}

}  // namespace
}  // namespace zferry
