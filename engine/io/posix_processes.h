// PosixProcesses: starts children, each in a process group of its own, so that a terminal's Ctrl-C comes to zferry
// alone, which then decides what becomes of them. On the loop's thread.
#pragma once

#include <memory>

#include "io/posix_child.h"
#include "io/posix_loop.h"
#include "io/processes.h"

namespace zferry::io {

class PosixProcesses final : public Processes {
 public:
  explicit PosixProcesses(PosixLoop& loop) : loop_(loop) {}
  Result<std::unique_ptr<Child>> spawn(const std::vector<std::string>& argv, PipeEnd end) override;

 private:
  PosixLoop& loop_;
  std::shared_ptr<Abandoned> abandoned_ = std::make_shared<Abandoned>();
};

}  // namespace zferry::io
