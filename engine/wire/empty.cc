// Heartbeat and Done: no bytes at all.
#include "wire/codec.h"
#include "wire/messages.h"

namespace zferry::wire {

Status decode_empty(ConstBytes bytes, const char* name) { return Cursor(name, bytes).finish(); }

}  // namespace zferry::wire
