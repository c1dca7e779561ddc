#include "io/folder_rules.h"

#include <algorithm>
#include <cerrno>

namespace zferry::io {

bool is_folder_name(const std::string& name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  return !name.empty() && name.size() <= kFolderNameBytesMax && name[0] != '.' && name != kFolderLockName &&
         std::all_of(name.begin(), name.end(), allowed);
}

Error folder_error(const std::string& what, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  Error error = errno_error(full ? Fault::kStoreFull : Fault::kStoreFailed, what, error_number);
  error.next = full ? "make room on the store's disk (df -h, quota), or give it a folder on another one"
                    : "see to the store's disk and the permissions of its folder (ls -ld, dmesg)";
  return error;
}

}  // namespace zferry::io
