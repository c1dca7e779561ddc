#include "store/file_names.h"
#include "store/journal.h"
#include "store/page_reader.h"

namespace zferry::store {

Result<JournalWriter> JournalWriter::create(io::Folder& folder, const StoreKeys& keys, const SessionId& session,
                                            seal::Cipher cipher, RandomSource& random) {
  const std::string new_name = new_journal_name(keys, session);
  auto file = SealedFile::create(folder, new_name, make_header(keys, FileKind::kJournal, 0, session, cipher, random));
  if (!file) return file.take_error();
  return JournalWriter(std::move(*file), folder, new_name, journal_name(keys, session));
}

JournalWriter::JournalWriter(SealedFile file, io::Folder& folder, std::string new_name, std::string name)
    : file_(std::move(file)), folder_(&folder), new_name_(std::move(new_name)), name_(std::move(name)) {}

Status JournalWriter::write(Pages& pages) {
  for (const std::vector<std::byte>& page : pages.take())
    if (Status status = append_page(file_, page, commit_); !status) return status;
  return {};
}

Status JournalWriter::commit(Pages& pages) {
  pages.commit();
  if (Status status = write(pages); !status) return status;
  ++commit_;
  return file_.sync();
}

Status JournalWriter::put_in_place() {
  if (Status status = folder_->rename(new_name_, name_); !status) return status;
  return folder_->sync();
}

}  // namespace zferry::store
