// The file with the chunks of one segment: written beside it, and read back as far as it goes. docs/STORE.md, "Chunks".
// Whatever is missing in it, or wrong, makes chunks be sent again, no more. Threading: one thread at a time each.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "store/chunk_entry.h"
#include "store/page_reader.h"
#include "store/sealed_file.h"

namespace zferry::store {

class ChunkLog {
 public:
  explicit ChunkLog(const ChunksStart& start) : start_(start) {}
  // An entry of encode_chunks(), to be written with the next flush(). REQUIRES: !is_due().
  void add(ConstBytes entry);
  // There is a page of it.
  bool is_due() const { return page_.size() >= kPageBytes; }
  struct Where {
    io::Folder& folder;
    const StoreKeys& keys;
    const SessionId& session;
    std::uint32_t segment;
    seal::Cipher cipher;
    RandomSource& random;
  };
  // Makes the file, the first time. After an error it is to be left.
  Status flush(const Where& where);
  Status sync();
  // Of the file, at most.
  std::uint64_t bytes() const { return bytes_; }
  // What flush() makes it longer by, or made it at first.
  std::uint64_t unwritten_bytes() const;

 private:
  static constexpr std::size_t kPageBytes = 16 * limits::KiB;

  ChunksStart start_;
  std::vector<std::byte> page_;
  std::optional<SealedFile> file_;
  std::uint64_t serial_ = 0;
  std::uint64_t bytes_ = 0;
};

// The entries of a segment's file, page by page, until `see` says no or one does not open. Nothing where not even the
// first does.
std::optional<ChunksStart> read_chunk_log(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                          std::uint32_t segment, const std::function<bool(ConstBytes entries)>& see);

}  // namespace zferry::store
