// FdStream: a byte stream over a descriptor, by the host's driver. On the loop's thread.
#pragma once

#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "io/byte_stream.h"
#include "io/posix_loop.h"

namespace zferry::io {

struct StreamTraits {
  FdKind kind;
  bool link = false;  // to the peer: its failures are kLinkLost, it can be shut down
  bool pipe = false;  // it knows what its reader has not taken
  std::string name;
};

class FdStream final : public ByteStream {
 public:
  FdStream(PosixLoop& loop, UniqueFd fd, StreamTraits traits);
  ~FdStream() override;

  void read(Bytes into, SizeDone done) override;
  void write(ConstBytes from, SizeDone done) override;
  void shutdown_write() override;
  void sync(std::function<void(Status)> done) override;
  std::size_t unread() const override;
  std::optional<LinkFacts> link_facts() const override;
  void wish(const LinkWishes& wishes) override;
  std::string name() const override { return traits_.name; }
  int fd() const { return fd_.get(); }

 private:
  void write_rest(ConstBytes from, std::size_t written_bytes, SizeDone done);
  void written(int result, ConstBytes from, std::size_t written_bytes, SizeDone done);

  PosixLoop& loop_;
  UniqueFd fd_;
  const StreamTraits traits_;
  Driver::OpId reading_ = 0;
  Driver::OpId writing_ = 0;
  bool shutdown_after_write_ = false;
  std::shared_ptr<std::function<void(Status)>> syncing_;
};

}  // namespace zferry::io
