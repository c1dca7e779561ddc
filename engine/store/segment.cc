#include "store/segment.h"

#include "store/file_names.h"

namespace zferry::store {

std::array<std::byte, kBlockFactsBytes> encode(const BlockFacts& block) {
  std::array<std::byte, kBlockFactsBytes> bytes;
  const Bytes to = bytes;
  store_at(to, 0, block.number);
  store_at(to, 8, block.offset);
  store_at(to, 16, block.raw_bytes);
  store_at(to, 20, block.packed_bytes);
  store_at(to, 24, block.encoding);
  return bytes;
}

Result<SegmentReader> SegmentReader::open(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                          std::uint32_t number, const Check& check) {
  const std::string name = segment_name(keys, session, number);
  auto file = folder.open(name);
  if (!file) return file.take_error();
  std::array<std::byte, kHeaderBytes> header;
  auto count = (*file)->read(0, header);
  if (!count) return count.take_error();
  auto key = open_header(keys, ConstBytes(header).first(*count), FileKind::kSegment, number, session, name);
  if (!key) return key.take_error();
  if (key->check != check) return failed(name, "is not the file that the journal names");
  return SegmentReader(std::move(*file), name, number, *key);
}

SegmentReader::SegmentReader(std::unique_ptr<io::FolderFile> file, std::string name, std::uint32_t number,
                             const FileKey& key)
    : file_(std::move(file)), name_(std::move(name)), number_(number), opener_(key.cipher, key.key) {}

Status SegmentReader::read(const BlockFacts& block, std::uint32_t at, Bytes into) {
  ZF_ASSERT(into.size() == block.packed_bytes);
  const auto damaged = [&](const char* what) {
    return failed(name_ + " at " + std::to_string(at), "block " + std::to_string(block.number) + " " + what);
  };
  const std::size_t sealed_bytes = into.size() + seal::kTagBytes;
  if (sealed_.size() < sealed_bytes) sealed_.resize(sealed_bytes);
  const Bytes sealed = Bytes(sealed_).first(sealed_bytes);
  auto count = file_->read(at, sealed);
  if (!count) return count.take_error();
  if (*count < sealed_bytes) return damaged("is cut off");
  if (!opener_.open(at, encode(block), sealed, into)) return damaged("does not open: it is damaged");
  return {};
}

}  // namespace zferry::store
