// Reads all of a store, and changes nothing.
#include <algorithm>
#include <list>
#include <map>

#include "store/chunk_log.h"
#include "store/recovery.h"
#include "store/segment.h"
#include "store/store.h"

namespace zferry::store {
namespace {

// Blocks by where they lie, whosever they are: each is read once.
class Places {
 public:
  Places(io::Folder& folder, const StoreKeys& keys) : folder_(folder), keys_(keys) {}
  // The same again of the same place.
  Status read(const BlockPlace& place) {
    const PinnedSegment segment{place.session, place.segment};
    auto& places = segments_[segment];
    const auto known = places.find(place.at);
    if (known != places.end()) return known->second ? Status(*known->second) : Status();
    Status status = read_from(segment, place);
    places.emplace(place.at, status ? std::nullopt : std::optional(status.error()));
    return status;
  }

 private:
  Status read_from(const PinnedSegment& segment, const BlockPlace& place) {
    auto open = std::ranges::find(readers_, segment, &Open::segment);
    if (open == readers_.end()) {
      auto reader = SegmentReader::open(folder_, keys_, place.session, place.segment, place.check);
      if (!reader) return reader.take_error();
      if (readers_.size() == kReadersMax) readers_.pop_back();
      open = readers_.insert(readers_.begin(), {segment, std::move(*reader)});
    }
    readers_.splice(readers_.begin(), readers_, open);
    packed_.resize(place.block.packed_bytes);
    return open->reader.read(place.block, place.at, packed_);
  }

  static constexpr std::size_t kReadersMax = 16;
  struct Open {
    PinnedSegment segment;
    SegmentReader reader;
  };

  io::Folder& folder_;
  const StoreKeys& keys_;
  std::list<Open> readers_;  // what was used last comes first
  std::map<PinnedSegment, std::map<std::uint32_t, std::optional<Error>>> segments_;
  std::vector<std::byte> packed_;
};

struct Look {
  io::Folder& folder;
  const StoreKeys& keys;
  const StoreFiles& files;
  const RefersTo& refers_to;
  Places places{folder, keys};
  Verification seen{};
};

// What a block's recipe is made of.
Status verify_shared(Look& look, const BlockFacts& block, ConstBytes packed) {
  if (!look.refers_to) return {};
  auto places = look.refers_to(block, packed);
  if (!places) return places.take_error();
  for (const BlockPlace& place : *places) {
    Status status = look.places.read(place);
    if (!status)
      return Error{Fault::kStoreFailed, "what it shares with an earlier stream is damaged: " + status.error().what,
                   std::move(status.error().next)};
    ++look.seen.shared_blocks;
  }
  return {};
}

Status verify_session(Look& look, const SessionId& id, SessionContent& content) {
  auto recovered = recover_session(look.folder, look.keys, id, look.files);
  if (!recovered) return recovered.take_error();
  content = std::move(*recovered);
  std::optional<SegmentReader> reader;
  std::vector<std::byte> packed;
  for (const auto& [number, block] : content.blocks()) {
    const Place& place = content.place_of(number);
    if (!reader || reader->number() != place.segment) {
      const Check& check = content.segments().at(place.segment).check;
      auto opened = SegmentReader::open(look.folder, look.keys, id, place.segment, check);
      if (!opened) return opened.take_error();
      reader.emplace(std::move(*opened));
    }
    packed.resize(block.packed_bytes);
    if (Status status = reader->read(block, place.at, packed); !status) return status;
    ++look.seen.blocks;
    look.seen.packed_bytes += block.packed_bytes;
    if (Status status = verify_shared(look, block, packed); !status) return status;
  }
  return {};
}

// What of a segment is only there to be found: each block that its chunks name. Of one that its session still needs a
// part, what is applied: the rest was read, or a crash may have taken it.
void verify_kept(Look& look, const SessionId& id, std::uint32_t number, const SessionContent& content) {
  const bool needed = content.segments().contains(number);
  std::map<std::uint32_t, BlockFacts> blocks;  // by place
  const auto start = read_chunk_log(look.folder, look.keys, id, number, [&](ConstBytes page) {
    auto entries = decode_chunks(page);
    if (!entries) return false;
    for (const ChunkEntry& entry : *entries)
      if (!needed || entry.block.number < content.first()) blocks.emplace(entry.at, entry.block);
    return true;
  });
  if (!start) return;  // nothing of it can be found
  for (const auto& [at, block] : blocks) {
    const bool whole = look.places.read({id, number, start->segment, at, block}).ok();
    ++(whole ? look.seen.window_blocks : look.seen.window_damaged);
  }
}

}  // namespace

Result<Verification> verify(io::Folder& folder, const seal::SecretBytes& key, const RefersTo& refers_to) {
  if (Status status = folder.lock(); !status) return status.take_error();
  auto keys = open_format(folder, key, nullptr);
  if (!keys) return keys.take_error();
  auto files = list_files(folder, *keys);
  if (!files) return files.take_error();
  Look look{folder, *keys, *files, refers_to};
  for (const auto& [id, session] : files->sessions) {
    SessionContent content;
    if (session.journal_bytes) {  // else a crash left it, or it is over: nothing of it counts
      ++look.seen.sessions;
      if (Status status = verify_session(look, id, content); !status) {
        look.seen.damaged.emplace_back(id, status.take_error());
        continue;
      }
    }
    for (const auto& [number, bytes] : session.log_bytes)
      if (session.segment_bytes.contains(number)) verify_kept(look, id, number, content);
  }
  return std::move(look.seen);
}

}  // namespace zferry::store
