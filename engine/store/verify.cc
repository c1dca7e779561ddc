// Reads all of a store, and changes nothing.
#include "store/recovery.h"
#include "store/segment.h"
#include "store/store.h"

namespace zferry::store {
namespace {

Status verify_session(io::Folder& folder, const StoreKeys& keys, const SessionId& id, const SessionFiles& files,
                      Verification& seen) {
  auto content = recover_session(folder, keys, id, files);
  if (!content) return content.take_error();
  std::optional<SegmentReader> reader;
  std::vector<std::byte> packed;
  for (const auto& [number, block] : content->blocks()) {
    const Place& place = content->place_of(number);
    if (!reader || reader->number() != place.segment) {
      auto opened = SegmentReader::open(folder, keys, id, place.segment, content->segments().at(place.segment).check);
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

}  // namespace

Result<Verification> verify(io::Folder& folder, const seal::SecretBytes& key) {
  if (Status status = folder.lock(); !status) return status.take_error();
  auto keys = open_format(folder, key, nullptr);
  if (!keys) return keys.take_error();
  auto files = list_files(folder, *keys);
  if (!files) return files.take_error();
  Verification seen;
  for (const auto& [id, session] : files->sessions) {
    if (!session.journal_bytes) continue;  // a crash left it: nothing of it counts
    ++seen.sessions;
    if (Status status = verify_session(folder, *keys, id, session, seen); !status)
      seen.damaged.emplace_back(id, status.take_error());
  }
  return seen;
}

}  // namespace zferry::store
