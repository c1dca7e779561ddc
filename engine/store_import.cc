// A stream into a store's window: cut and named as a source does it, so that this source's next stream finds the same
// chunks there. docs/STORE.md, "Window".
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "chunk/cutter.h"
#include "io/posix_folder.h"
#include "io/state_folder.h"
#include "pack/pack.h"
#include "pipeline/assembly.h"
#include "pipeline/dedup_scope.h"
#include "pipeline/first_messages.h"
#include "pipeline/names.h"
#include "pipeline/outgoing_block.h"
#include "pipeline/store_key.h"
#include "store_opening.h"
#include "zstream/walker.h"

namespace zferry {
namespace {

constexpr std::size_t kReadBytes = 128 * limits::KiB;
constexpr std::size_t kBlockBytes = limits::kBlockBytesMax;
constexpr const char* kName = "zferry store import";

// One import: what is read comes in, blocks of what the store lacks go into the session.
class Import {
 public:
  Import(store::Store& store, store::Session& session, const store::Scope& scope, StoreImport& so_far)
      : store_(store), session_(session), scope_(scope), key_(seed_of(store, scope)), so_far_(so_far) {}

  Status take(ConstBytes bytes) {
    cutter_.scan(bytes);
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
    so_far_.stream_bytes += bytes.size();
    while (waiting_.size() >= kBlockBytes) {
      const std::size_t whole = cutter_.whole(kBlockBytes);
      if (Status status = cut(whole > 0 ? whole : kBlockBytes); !status) return status;
    }
    return {};
  }

  // Nothing more comes. Of a stream that broke off, a chunk that it broke is none.
  Status finish(bool complete) {
    while (!waiting_.empty()) {
      std::size_t bytes = cutter_.whole(kBlockBytes);
      if (bytes == 0 && !complete) break;
      if (bytes == 0) bytes = std::min(waiting_.size(), kBlockBytes);
      if (Status status = cut(bytes); !status) return status;
    }
    // Only here: what was never committed is no session, and one that is killed leaves all that it has to be found.
    return session_.commit();
  }

 private:
  static std::array<std::byte, 32> seed_of(const store::Store& store, const store::Scope& scope) {
    const seal::SecretBytes secret = store.chunk_key(scope);
    std::array<std::byte, 32> seed{};
    std::ranges::copy(secret.bytes(), seed.begin());
    return seed;
  }

  Status cut(std::size_t bytes) {
    const chunk::Layout layout = cutter_.cut(bytes);
    const ConstBytes block = ConstBytes(waiting_).first(bytes);
    const wire::Block header{number_, offset_, static_cast<std::uint32_t>(bytes), 0, wire::Encoding::kStored};
    Status kept;
    if (!layout.chunks.empty()) kept = keep(pipeline::name_chunks(key_, layout, block, header), block);
    offset_ += bytes;
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(bytes));
    return kept;
  }

  // Only what is not there yet, close together: nobody will want the block itself.
  Status keep(const wire::Chunks& named, ConstBytes block) {
    std::vector<store::ChunkFacts> lacking;
    std::vector<std::byte> bytes;  // of these
    for (store::ChunkFacts& chunk : pipeline::chunks_in_block(named)) {
      std::vector<std::byte> its = take_out(chunk, block, bytes.size());
      ++so_far_.chunks;
      if (chunk.id && store_.find(scope_, *chunk.id, its.size())) continue;
      bytes.insert(bytes.end(), its.begin(), its.end());
      lacking.push_back(std::move(chunk));
    }
    if (lacking.empty()) return {};
    if (Status status = append(bytes, lacking); !status) return status;
    so_far_.new_chunks += lacking.size();
    so_far_.new_bytes += bytes.size();
    return {};
  }

  // A chunk's bytes, which are to stand at this place of a block.
  static std::vector<std::byte> take_out(store::ChunkFacts& chunk, ConstBytes block, std::size_t at) {
    std::vector<std::byte> bytes;
    for (store::ChunkFacts::Unit& unit : chunk.units) {
      const std::size_t begin = bytes.size();
      for (const store::Run& run : unit.runs) {
        const ConstBytes from = block.subspan(run.offset, run.bytes);
        bytes.insert(bytes.end(), from.begin(), from.end());
      }
      unit.runs = {{static_cast<std::uint32_t>(at + begin), static_cast<std::uint32_t>(bytes.size() - begin)}};
    }
    return bytes;
  }

  Status append(ConstBytes bytes, const std::vector<store::ChunkFacts>& chunks) {
    room_.resize(bytes.size());
    const std::size_t packed = pack::pack({}, pack::Hint::kUnknown, bytes, room_);
    const ConstBytes goes = packed > 0 ? ConstBytes(room_).first(packed) : bytes;
    const auto encoding = packed > 0 ? wire::Encoding::kZstd : wire::Encoding::kStored;
    const store::BlockFacts facts{number_, offset_, static_cast<std::uint32_t>(bytes.size()),
                                  static_cast<std::uint32_t>(goes.size()), static_cast<std::uint8_t>(encoding)};
    if (Status status = session_.append(facts, goes, chunks); !status) return status;
    ++number_;
    return {};
  }

  store::Store& store_;
  store::Session& session_;
  const store::Scope scope_;
  const chunk::IdKey key_;
  StoreImport& so_far_;
  chunk::Cutter cutter_{chunk::Sizes::of(kBlockBytes)};
  std::vector<std::byte> waiting_;  // read, and in no block yet
  std::vector<std::byte> room_;
  std::uint64_t number_ = 0;
  std::uint64_t offset_ = 0;
};

// Every checksum is looked at before what it stands for is kept.
Status read_into(Import& import, int fd) {
  zstream::RecordWalker walker;
  zstream::ChecksumVerifier verifier;
  std::vector<std::byte> buffer(kReadBytes);
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(Fault::kInputFailed, "read the stream", errno);
    if (count == 0) return walker.finish();
    const ConstBytes piece = ConstBytes(buffer).first(static_cast<std::size_t>(count));
    auto plan = walker.walk(piece);
    if (!plan) return plan.take_error();
    if (Status right = verifier.fold(*plan, zstream::compute(*plan, piece)); !right) return right;
    if (Status taken = import.take(piece); !taken) return taken;
  }
}

bool is_of_store(const Status& status) {
  return !status && (status.error().fault == Fault::kStoreFull || status.error().fault == Fault::kStoreFailed);
}

Status import_into(store::Store& store, const ImportSettings& settings, int fd, StoreImport& so_far) {
  const store::SessionId id = pipeline::destination_id(kName);
  // What an import has left that was interrupted: it stays to be found.
  if (std::ranges::any_of(store.sessions(), [&](const auto& summary) { return summary.id == id; }))
    if (Status removed = store.remove(id); !removed) return removed;
  Status status;
  {
    auto session = store.begin(id, kName);
    if (!session) return session.take_error();
    const pipeline::Principal who = settings.secret ? pipeline::principal_of_secret(*settings.secret) : settings.peer;
    const store::Scope scope = pipeline::scope_of(pipeline::DedupScope::kPeer, who, {}, {});
    (*session)->set_scope(scope);
    Import import(store, **session, scope, so_far);
    status = read_into(import, fd);
    Status finished = is_of_store(status) ? (*session)->commit() : import.finish(status.ok());
    if (status && !finished) status = std::move(finished);
  }
  // A store that is nearly full keeps room free for streams: of what was just written, the first goes.
  const std::uint64_t all = store.window().chunks;
  if (Status removed = store.remove(id); status && !removed) status = std::move(removed);
  so_far.dropped_chunks = all - std::min(all, store.window().chunks);
  if (status && so_far.dropped_chunks > 0)
    status = Error{Fault::kStoreFull,
                   std::to_string(so_far.dropped_chunks) +
                       " chunks found no room in the store, beside what it leaves free for streams",
                   {}};
  so_far.used_bytes = store.used_bytes();
  so_far.window_bytes = store.window().bytes;
  return status;
}

}  // namespace

Status import_stream(const StorePlace& place, const ImportSettings& settings, int fd, StoreImport& so_far) {
  io::PosixFolder folder(place.folder);
  io::PosixStateFolder state(place.state_folder);
  // A key is made for a new store alone: one that is there has its own.
  const bool is_new = !has_store(folder);
  if (is_new)
    if (Status prepared = state.prepare(); !prepared) return prepared;
  auto key = is_new ? pipeline::store_key(state, system_random()) : key_of(place);
  if (!key) return key.take_error();
  store::StoreSettings how;
  how.capacity_bytes = settings.capacity_bytes;
  how.segment_bytes = settings.segment_bytes;
  how.unix_now_s = [] { return static_cast<std::int64_t>(std::time(nullptr)); };
  how.window = true;
  auto store = store::Store::open(folder, *key, std::move(how), system_random());
  if (!store) return store.take_error();
  return import_into(**store, settings, fd, so_far);
}

}  // namespace zferry
