// SimZfs: the ZFS of a simulated host: `zfs receive -s -u DATASET`, and `zfs get` of the resume token and of a
// snapshot's guid, over one dataset that outlives the host's crashes. What a receive took counts in transaction groups:
// a loss of power goes back to the last that was synced; a receive that is cut or killed keeps every whole record. It
// takes a stream only where it stands. Single-threaded.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "io/sim_world.h"

namespace zferry::transfer {

// What records have made of a dataset: by kind (below), object and offset, a hash of the record.
using ZfsContent = std::map<std::array<std::uint64_t, 3>, std::uint64_t>;

struct SimZfsSettings {
  Duration group_every{0};      // a transaction group begins to be synced so often,
  Duration sync_time{0};        // and takes so long; its token is seen from its beginning
  Duration finish_time{0};      // from END to the snapshot
  Duration import_time{0};      // from a loss of power until there is anything to ask or to receive into
  io::SimConsumer pace{};       // how fast records are taken, and what the pipe holds
  bool can_sync = true;         // `zpool sync` is there
  std::uint64_t base_guid = 0;  // of the snapshot that is there, for an increment; 0: the dataset is not there
};

class SimZfs {
 public:
  // Puts the program "zfs" on the host. Both outlive this object. REQUIRES: after a loss of power, power_lost().
  SimZfs(io::SimWorld& world, io::SimHost& host, SimZfsSettings settings);
  ~SimZfs();
  void power_lost();
  // receive -A. False: nothing is kept.
  bool give_up();

  bool has_snapshot(std::uint64_t guid) const { return snapshots_.contains(guid); }
  const ZfsContent& content(std::uint64_t guid) const { return snapshots_.at(guid); }
  bool busy();  // a receive holds the dataset
  // Receives: begun; resumed; refused, with the words of the last.
  std::size_t begun = 0, resumed = 0, refused = 0, groups = 0, snapshots_made = 0;
  std::string refusal;
  // But where a receive of an earlier run of the target still held the dataset when ZFS was asked, or holds it.
  std::function<void(const std::string& why)> on_refusal;
  // END came in a stream, before anything is made of it.
  std::function<void()> on_end;

  // What an uninterrupted receive makes of a stream.
  static ZfsContent content_of(ConstBytes stream);

 private:
  class Receive;
  struct Partial {
    std::uint64_t toguid = 0, fromguid = 0, versioninfo = 0;
    std::string toname;
    std::uint64_t object = 1, offset = 0, bytes = 0;
    ZfsContent content;
  };
  io::SimProgram start(const std::vector<std::string>& argv);
  io::SimProgram sync();
  io::SimProgram answer(const std::string& text, int exit_code) const;
  std::string token() const;
  // Does what became due: groups, receivers that were killed.
  void look();
  void keep(Receive& receive);
  void finish(Receive& receive);

  io::SimWorld& world_;
  io::SimHost& host_;
  const SimZfsSettings settings_;
  std::optional<Partial> synced_;   // on disk
  std::optional<Partial> syncing_;  // in the group that is being written
  TimePoint group_due_{}, synced_at_{}, imported_at_{};
  std::uint64_t power_losses_ = 0;
  std::map<std::uint64_t, ZfsContent> snapshots_;
  std::shared_ptr<Receive> holder_;  // of the dataset
  bool asked_while_held_ = false;
};

}  // namespace zferry::transfer
