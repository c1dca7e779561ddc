// PosixStateFolder: records as files of one folder. Calls block for an fsync; they are few and small. One thread.
#pragma once

#include <string>

#include "io/files.h"

namespace zferry::io {

class PosixStateFolder final : public StateFolder {
 public:
  explicit PosixStateFolder(std::string folder) : folder_(std::move(folder)) {}
  Status prepare() override;
  Result<std::optional<std::vector<std::byte>>> load(const std::string& name) override;
  Status save(const std::string& name, ConstBytes record) override;
  Status remove(const std::string& name) override;

 private:
  std::string path_of(const std::string& name) const;

  const std::string folder_;
};

}  // namespace zferry::io
