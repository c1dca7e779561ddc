#include "inspect.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/limits.h"

namespace zferry {

Status inspect_stream(int fd, Inspection& so_far) {
  zstream::RecordWalker walker;
  zstream::ChecksumVerifier verifier;
  std::vector<std::byte> buffer(limits::kBlockBytesMax);
  Status status;
  while (status) {
    ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(Fault::kInputFailed, "read the stream", errno);
    if (count == 0) {
      status = walker.finish();
      break;
    }
    ConstBytes piece = ConstBytes(buffer).first(static_cast<std::size_t>(count));
    Result<zstream::ChecksumPlan> plan = walker.walk(piece);
    status = plan ? verifier.fold(*plan, zstream::compute(*plan, piece)) : Status(plan.take_error());
  }
  so_far.summary = walker.summary();
  so_far.checksums_verified = verifier.compared();
  return status;
}

}  // namespace zferry
