// ZF_ASSERT: a bug of ours, always checked, never reachable by outside bytes.
#pragma once

namespace zferry {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}

#define ZF_ASSERT(condition) \
  (static_cast<bool>(condition) ? void(0) : ::zferry::assertion_failed(#condition, __FILE__, __LINE__))
