// The socket through which a running lab is commanded: one line in, one line of JSON out, then it closes. Bounded: few
// callers at a time, short lines. Not thread-safe.
#pragma once

#include <poll.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tun.h"

namespace zferry::wanlab {

class ControlSocket {
 public:
  static constexpr std::size_t kCallersMax = 16;
  static constexpr std::size_t kLineBytesMax = 4096;

  static std::optional<ControlSocket> listen(const std::string& path, std::string& why);

  /// Adds what is to be polled.
  void add_to(std::vector<pollfd>& set) const;

  /// Takes callers and answers those whose line is complete.
  void serve(const std::function<std::string(std::string_view)>& answer);

 private:
  struct Caller {
    Descriptor socket;
    std::string line;
  };
  Descriptor listener_;
  std::vector<Caller> callers_;
};

}  // namespace zferry::wanlab
