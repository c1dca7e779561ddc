// A block in its segment: what is authenticated with it, and how it is read back. docs/STORE.md, "Segments". Threading:
// one thread at a time each.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "io/folder.h"
#include "store/file_header.h"

namespace zferry::store {

inline constexpr std::size_t kBlockFactsBytes = 25;

// What of a block its sealed bytes are bound to, besides the file and the place in it.
std::array<std::byte, kBlockFactsBytes> encode(const BlockFacts& block);

class SegmentReader {
 public:
  // Errors: kStoreFailed: damage, or another file than the one whose header ends with `check`.
  static Result<SegmentReader> open(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                    std::uint32_t number, const Check& check);
  // REQUIRES: into.size() == block.packed_bytes. Errors: kStoreFailed, naming segment and place.
  Status read(const BlockFacts& block, std::uint32_t at, Bytes into);
  std::uint32_t number() const { return number_; }

 private:
  SegmentReader(std::unique_ptr<io::FolderFile> file, std::string name, std::uint32_t number, const FileKey& key);

  std::unique_ptr<io::FolderFile> file_;
  std::string name_;
  std::uint32_t number_;
  seal::RestOpener opener_;
  std::vector<std::byte> sealed_;
};

}  // namespace zferry::store
