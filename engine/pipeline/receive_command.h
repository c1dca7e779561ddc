// ReceiveCommand: what a consumer's argv says of itself where it is `zfs receive`: which dataset it fills, whether ZFS
// keeps what a cut leaves (-s), and the commands that ask ZFS how far it is. Pure; nothing is run here.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace zferry::pipeline {

using Argv = std::vector<std::string>;

class ReceiveCommand {
 public:
  // `[sudo ...] zfs receive|recv [options] DATASET`. Nothing for any other command, a shell's line among them.
  static std::optional<ReceiveCommand> parse(const Argv& consumer);
  // Of a consumer that is none by its argv, but ends in one that fills `dataset`.
  static ReceiveCommand of_dataset(const std::string& dataset);

  bool keeps_what_is_cut() const { return keeps_; }
  // Where a stream with this toname ("pool/a/b@snapshot") goes: -d and -e build on the sender's names.
  std::string dataset_of(const std::string& toname) const;
  // Prints the token, or "-".
  Argv ask_token(const std::string& toname) const;
  // The same of all that lies below where the stream goes, a line each, "name<TAB>value": of a stream of many
  // snapshots.
  Argv ask_tokens_below(const std::string& toname) const;
  Argv ask_guids_below(const std::string& toname) const;
  // Ends when all that the pool has taken is on its disks.
  Argv sync_pool(const std::string& toname) const;
  // Prints the guid of the snapshot as received, or fails where it is not there.
  Argv ask_guid(const std::string& toname) const;
  // As an operator would type it: gives up what ZFS kept of a receive that was cut.
  std::string give_up_command(const std::string& toname) const;

 private:
  Argv ask_below(const std::string& toname, const std::string& property) const;

  enum class Naming { kAsTold, kWithoutPool, kLastPart };
  Argv prefix_ = {"zfs"};
  std::string dataset_;
  std::string snapshot_;  // where the operator names it
  Naming naming_ = Naming::kAsTold;
  bool keeps_ = false;
};

}  // namespace zferry::pipeline
