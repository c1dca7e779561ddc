// Question: a short command whose output is the answer, such as `zfs get`. Threading: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "base/limits.h"
#include "pipeline/host.h"

namespace zferry::pipeline {

class Question {
 public:
  struct Answer {
    io::ExitStatus exit;
    std::string output;  // without the newline at its end
  };
  // `done` once, from the loop; not after this object is gone. Errors: kCannotRun; no end within `patience`; too long.
  Question(Host& host, const std::vector<std::string>& argv, Duration patience,
           std::function<void(Result<Answer>)> done, std::size_t output_bytes_max = 64 * limits::KiB);
  ~Question();

 private:
  void read_on();
  void answered();
  void tell(Result<Answer> answer);

  Host& host_;
  std::string name_;
  std::size_t output_bytes_max_;
  std::function<void(Result<Answer>)> done_;
  std::unique_ptr<io::Child> child_;
  std::vector<std::byte> output_;
  std::shared_ptr<std::vector<std::byte>> piece_;
  std::optional<io::ExitStatus> exit_;
  bool output_over_ = false;
  io::TimerId timer_ = 0;
  Lifeline lifeline_;
};

}  // namespace zferry::pipeline
