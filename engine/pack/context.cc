// The only callers of zstd's coding functions.
#include "pack/context.h"

#include <zstd.h>

#include <cstdint>
#include <memory>

namespace zferry::pack {
namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

std::size_t compress(int level, ConstBytes raw, Bytes out) {
  static thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  ZF_ASSERT(context != nullptr);
  ZF_ASSERT(!ZSTD_isError(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level)));
  const std::size_t bytes = ZSTD_compress2(context.get(), out.data(), out.size(), raw.data(), raw.size());
  return ZSTD_isError(bytes) ? 0 : bytes;  // too long for `out`: what there is no memory for is carried as it is, too
}

std::size_t decompress(ConstBytes packed, Bytes raw) {
  static thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  ZF_ASSERT(context != nullptr);
  const std::size_t bytes = ZSTD_decompressDCtx(context.get(), raw.data(), raw.size(), packed.data(), packed.size());
  return ZSTD_isError(bytes) ? SIZE_MAX : bytes;
}

}  // namespace zferry::pack
