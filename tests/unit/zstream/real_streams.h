// Where the tests find real send streams, and how they read them: NAME.zstream.zst beside NAME.dump.txt.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace zferry::zstream::testing {

// $ZFERRY_SHARED, or the folder "shared" beside the project; it need not be there.
std::filesystem::path shared();
std::string read_text(const std::filesystem::path& path);
std::vector<std::byte> unpacked(const std::filesystem::path& path);

}  // namespace zferry::zstream::testing
