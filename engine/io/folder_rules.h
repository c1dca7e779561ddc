// What every Folder holds to, whatever is behind it: its names, and how its errors read. Any thread.
#pragma once

#include <string>

#include "base/result.h"

namespace zferry::io {

inline constexpr std::size_t kFolderNameBytesMax = 100;
inline constexpr const char* kFolderLockName = "lock";  // of the file that is locked

// [a-z0-9-.], not beginning with a dot, not the lock's.
bool is_folder_name(const std::string& name);
// kStoreFull for ENOSPC and EDQUOT, else kStoreFailed. `what`: "append to /store/journal", escaped.
Error folder_error(const std::string& what, int error_number);

}  // namespace zferry::io
