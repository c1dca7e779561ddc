// Reads all of a store, and changes nothing.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "store/chunk_log.h"
#include "store/recovery.h"
#include "store/segment.h"
#include "store/store.h"

namespace zferry::store {
namespace {

Status verify_session(io::Folder& folder, const StoreKeys& keys, const SessionId& id, const StoreFiles& files,
                      SessionContent& content, Verification& seen) {
  auto recovered = recover_session(folder, keys, id, files);
  if (!recovered) return recovered.take_error();
  content = std::move(*recovered);
  std::optional<SegmentReader> reader;
  std::vector<std::byte> packed;
  for (const auto& [number, block] : content.blocks()) {
    const Place& place = content.place_of(number);
    if (!reader || reader->number() != place.segment) {
      auto opened = SegmentReader::open(folder, keys, id, place.segment, content.segments().at(place.segment).check);
      if (!opened) return opened.take_error();
      reader.emplace(std::move(*opened));
    }
    packed.resize(block.packed_bytes);
    if (Status status = reader->read(block, place.at, packed); !status) return status;
    ++seen.blocks;
    seen.packed_bytes += block.packed_bytes;
  }
  return {};
}

// What of a segment is only there to be found: each block that its chunks name, and `counts` says so of. False: one of
// them cannot be read.
bool verify_kept(io::Folder& folder, const StoreKeys& keys, const SessionId& id, std::uint32_t number,
                 const std::function<bool(const BlockFacts&)>& counts, Verification& seen) {
  std::vector<ChunkEntry> all;
  const auto start = read_chunk_log(folder, keys, id, number, [&](ConstBytes page) {
    auto entries = decode_chunks(page);
    if (!entries) return false;
    for (ChunkEntry& entry : *entries)
      if (counts(entry.block)) all.push_back({entry.at, entry.block, {}});
    return true;
  });
  if (!start) return true;  // nothing of it can be found
  auto reader = SegmentReader::open(folder, keys, id, number, start->segment);
  std::vector<std::byte> packed;
  bool all_whole = true;
  std::set<std::uint32_t> places;  // a block with many chunks comes more than once
  for (const ChunkEntry& entry : all) {
    if (!places.insert(entry.at).second) continue;
    packed.resize(entry.block.packed_bytes);
    const bool whole = reader && reader->read(entry.block, entry.at, packed);
    ++(whole ? seen.window_blocks : seen.window_damaged);
    all_whole &= whole;
  }
  return all_whole;
}

// What a session's recipes are made of lies in segments that it has pinned.
void judge_pins(const std::map<SessionId, std::vector<PinnedSegment>>& pins, const std::set<PinnedSegment>& damaged,
                Verification& seen) {
  for (const auto& [id, segments] : pins) {
    const auto bad = std::ranges::find_if(segments, [&](const auto& segment) { return damaged.contains(segment); });
    if (bad == segments.end()) continue;
    const Error why{Fault::kStoreFailed,
                    "what it shares with an earlier stream is damaged (" + std::to_string(bad->number) + ")",
                    {}};
    seen.damaged.emplace_back(id, why);
  }
}

}  // namespace

Result<Verification> verify(io::Folder& folder, const seal::SecretBytes& key) {
  if (Status status = folder.lock(); !status) return status.take_error();
  auto keys = open_format(folder, key, nullptr);
  if (!keys) return keys.take_error();
  auto files = list_files(folder, *keys);
  if (!files) return files.take_error();
  Verification seen;
  std::map<SessionId, std::vector<PinnedSegment>> pins;  // of sessions that are whole so far
  std::set<PinnedSegment> damaged;
  for (const auto& [id, session] : files->sessions) {
    SessionContent content;
    bool whole = true;
    if (session.journal_bytes) {  // else a crash left it, or it is over: nothing of it counts
      ++seen.sessions;
      Status status = verify_session(folder, *keys, id, *files, content, seen);
      whole = status.ok();
      if (!status) seen.damaged.emplace_back(id, status.take_error());
    }
    if (!whole) continue;
    for (const auto& [number, bytes] : session.log_bytes) {
      if (!session.segment_bytes.contains(number)) continue;
      // Of a segment that its session still needs a part, what is applied: the rest was read, or a crash may have
      // taken it.
      const bool needed = content.segments().contains(number);
      const auto counts = [&](const BlockFacts& block) { return !needed || block.number < content.first(); };
      if (!verify_kept(folder, *keys, id, number, counts, seen)) damaged.insert({id, number});
    }
    for (const auto& [pinned, pin] : content.pins()) pins[id].push_back(pinned);
  }
  judge_pins(pins, damaged, seen);
  return seen;
}

}  // namespace zferry::store
