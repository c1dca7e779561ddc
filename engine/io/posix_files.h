// PosixFiles: standard streams, output files and the state folder of this process. On the loop's thread.
#pragma once

#include <sys/types.h>

#include "io/files.h"
#include "io/posix_folder.h"
#include "io/posix_loop.h"
#include "io/state_folder.h"

namespace zferry::io {

// What was found at the start: which standard descriptors were open, and the mode of new files. Closed ones are filled
// with /dev/null, or the next file that is opened would be written to as "standard error".
struct StandardFacts {
  bool input_open = false;
  bool output_open = false;
  mode_t new_file_mode = 0600;
};
StandardFacts find_standard_facts();

class PosixFiles final : public Files {
 public:
  PosixFiles(PosixLoop& loop, StandardFacts facts, std::string state_folder)
      : loop_(loop), facts_(facts), state_(std::move(state_folder)) {}
  // Each once. The descriptor moves away from 0 or 1, where /dev/null takes its place: closing the stream is then
  // really the end for the process at the other side.
  Result<std::unique_ptr<ByteStream>> standard_input() override;
  Result<std::unique_ptr<ByteStream>> standard_output() override;
  Result<std::unique_ptr<OutputFile>> create(const std::string& path) override;
  std::optional<std::uint64_t> file_bytes(const std::string& path) override;
  std::unique_ptr<Folder> folder(const std::string& path) override { return std::make_unique<PosixFolder>(path); }
  StateFolder& state() override { return state_; }

 private:
  PosixLoop& loop_;
  StandardFacts facts_;
  PosixStateFolder state_;
};

}  // namespace zferry::io
