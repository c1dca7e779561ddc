#include "unit/zstream/real_streams.h"

#include <zstd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace zferry::zstream::testing {

namespace fs = std::filesystem;

fs::path shared() {
  if (const char* set = std::getenv("ZFERRY_SHARED")) return set;
  return fs::path(ZFERRY_TEST_DATA) / ".." / ".." / "shared";
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::byte> unpacked(const fs::path& path) {
  const std::string packed = read_text(path);
  std::vector<std::byte> out, buffer(1 << 20);
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::size_t left = 1;
  while (left != 0 && !ZSTD_isError(left)) {
    ZSTD_outBuffer piece{buffer.data(), buffer.size(), 0};
    left = ZSTD_decompressStream(context, &piece, &in);
    out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(piece.pos));
    if (in.pos == in.size && piece.pos == 0) break;
  }
  ZSTD_freeDCtx(context);
  if (left != 0) throw std::runtime_error(path.string() + " cannot be decompressed");
  return out;
}

}  // namespace zferry::zstream::testing
