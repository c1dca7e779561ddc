// Packer and unpacker of one block.
#include "pack/pack.h"

#include <zstd.h>

#include <algorithm>

#include "pack/context.h"
#include "pack/probe.h"

namespace zferry::pack {
namespace {

constexpr std::size_t kLeastSavingShift = 6;  // 1/64

Error bad_block(const char* why) { return {Fault::kProtocol, std::string("packed block: ") + why, {}}; }

}  // namespace

std::size_t pack(const PackSettings& settings, Hint hint, ConstBytes raw, Bytes out) {
  ZF_ASSERT(settings.level >= 1 && settings.level <= kLevelMax && out.size() >= raw.size());
  if (raw.empty() || settings.mode == Mode::kOff) return 0;
  if (settings.mode == Mode::kProbe && (hint == Hint::kIncompressible || !worth_packing(raw))) return 0;
  // Room for a result worth having and no more: zstd gives up early where it does not fit.
  const std::size_t least_saving = std::max<std::size_t>(1, raw.size() >> kLeastSavingShift);
  return compress(settings.level, raw, out.first(raw.size() - least_saving));
}

Status unpack(ConstBytes packed, Bytes raw) {
  // Only today's format: the library may also know formats of before 2016, and frames to skip.
  if (packed.size() < sizeof(std::uint32_t) || load<std::uint32_t>(packed) != ZSTD_MAGICNUMBER)
    return bad_block("not a zstd frame");
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != raw.size())
    return bad_block("it does not declare the block's length");
  if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size())
    return bad_block("it is cut, or something stands behind it");
  if (decompress(packed, raw) != raw.size()) return bad_block("it does not decode");
  return {};
}

}  // namespace zferry::pack
