// What is written down of the window between two openings: when what was last of use, and what it has saved.
// docs/STORE.md, "Window". Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "io/folder.h"
#include "store/file_header.h"

namespace zferry::store {

struct LastUse {
  SessionId session{};
  std::uint32_t segment = 0;
  std::uint64_t generation = 0;
};
struct WindowNotes {
  std::uint64_t generation = 0;  // sessions that were begun with a window
  Savings savings;
  std::vector<LastUse> uses;
};

// Zeros where it is not there, and for what cannot be read of it.
WindowNotes read_window(io::Folder& folder, const StoreKeys& keys);
// In place of the one before. Survives a crash after the folder's next sync().
Status write_window(io::Folder& folder, const StoreKeys& keys, seal::Cipher cipher, RandomSource& random,
                    const WindowNotes& notes);
// Of the file with so many uses.
std::uint64_t window_file_bytes(std::size_t uses);

}  // namespace zferry::store
