// zstd's contexts, one of each a thread, made at first use and kept until the thread ends. Private to pack/.
#pragma once

#include "base/bytes.h"

namespace zferry::pack {

// One zstd frame with its content size and no checksum. 0: it does not fit into `out`.
std::size_t compress(int level, ConstBytes raw, Bytes out);
// Decodes one frame into `raw`; the length that it gave, or nothing usable (SIZE_MAX) where it is damaged or does not
// fit.
std::size_t decompress(ConstBytes packed, Bytes raw);

}  // namespace zferry::pack
