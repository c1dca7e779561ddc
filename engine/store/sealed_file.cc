#include "store/sealed_file.h"

#include <algorithm>

namespace zferry::store {

Result<SealedFile> SealedFile::create(io::Folder& folder, const std::string& name, NewHeader header) {
  auto file = folder.create(name);
  if (!file) return file.take_error();
  SealedFile sealed(std::move(*file), header);
  if (Status status = sealed.file_->append(header.bytes); !status) {
    // Nobody has named it: what stays of it is removed when the store is opened, if not now.
    [[maybe_unused]] const Status removed = folder.remove(name);
    return status.take_error();
  }
  sealed.bytes_ = header.bytes.size();
  return sealed;
}

SealedFile::SealedFile(std::unique_ptr<io::FolderFile> file, const NewHeader& header)
    : file_(std::move(file)), sealer_(header.key.cipher, header.key.key), check_(header.key.check) {}

Result<std::uint64_t> SealedFile::append(ConstBytes clear, ConstBytes associated, ConstBytes plain) {
  associated_.assign(clear.begin(), clear.end());
  associated_.insert(associated_.end(), associated.begin(), associated.end());
  const std::size_t entry_bytes = clear.size() + plain.size() + seal::kTagBytes;
  if (entry_.size() < entry_bytes) entry_.resize(entry_bytes);
  const Bytes entry = Bytes(entry_).first(entry_bytes);
  std::ranges::copy(clear, entry.begin());
  sealer_.seal(bytes_, associated_, plain, entry.subspan(clear.size()));
  if (Status status = file_->append(entry); !status) return status.take_error();
  const std::uint64_t place = bytes_;
  bytes_ += entry_bytes;
  return place;
}

}  // namespace zferry::store
