// Whether packing a block is likely to save anything, from a small sample of it. Private to pack/ (and its tests and
// benchmark). Plain functions, thread-safe.
#pragma once

#include "base/bytes.h"

namespace zferry::pack {

// False where packing would save less than about 1/32. A microsecond or ten for a block of 1 MiB; blocks too short to
// sample are always worth trying.
bool worth_packing(ConstBytes raw);

}  // namespace zferry::pack
