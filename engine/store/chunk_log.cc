#include "store/chunk_log.h"

#include "store/file_names.h"

namespace zferry::store {

void ChunkLog::add(ConstBytes entry) {
  ZF_ASSERT(!is_due() && entry.size() <= kChunkEntryBytesMax);
  if (page_.empty() && serial_ == 0) {
    const auto start = encode(start_);
    page_.assign(start.begin(), start.end());
  }
  page_.insert(page_.end(), entry.begin(), entry.end());
}

Status ChunkLog::flush(const Where& where) {
  if (page_.empty()) return {};
  if (!file_) {
    auto file = SealedFile::create(
        where.folder, chunks_name(where.keys, where.session, where.segment),
        make_header(where.keys, FileKind::kChunks, where.segment, where.session, where.cipher, where.random));
    if (!file) return file.take_error();
    file_.emplace(std::move(*file));
    bytes_ = file_->bytes();
  }
  bytes_ += kPageHeaderBytes + page_.size() + seal::kTagBytes;
  Status status = append_page(*file_, page_, ++serial_);
  page_.clear();
  return status;
}

Status ChunkLog::sync() { return file_ ? file_->sync() : Status(); }

std::uint64_t ChunkLog::unwritten_bytes() const {
  return page_.size() + kPageHeaderBytes + seal::kTagBytes + (file_ ? 0 : kHeaderBytes + kChunksStartBytes);
}

std::optional<ChunksStart> read_chunk_log(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                          std::uint32_t segment, const std::function<bool(ConstBytes entries)>& see) {
  const std::string name = chunks_name(keys, session, segment);
  auto file = folder.open(name);
  if (!file) return {};
  PageReader reader(**file, name);
  if (!reader.open(keys, FileKind::kChunks, segment, session)) return {};
  std::optional<ChunksStart> start;
  std::uint64_t at = kHeaderBytes;
  for (std::uint64_t serial = 1;; ++serial) {
    auto page = reader.page_at(at);
    if (!page || !*page || (*page)->header.commit != serial) return start;
    ConstBytes entries = (*page)->plain;
    if (!start) {
      if (entries.size() < kChunksStartBytes) return start;
      start = decode_chunks_start(entries);
      entries = entries.subspan(kChunksStartBytes);
    }
    if (!see(entries)) return start;
    at = (*page)->end;
  }
}

}  // namespace zferry::store
