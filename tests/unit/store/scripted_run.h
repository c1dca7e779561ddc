// A run of a store that a test can end at any call, beside a model of what must then be there: all that was committed
// when the run ended, or all of that and the one change that was on its way. Single-threaded.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "unit/store/window_setting.h"

namespace zferry::store {

struct ModelSession {
  std::map<std::uint64_t, std::uint64_t> blocks;  // number and edition
  std::map<Note, std::string> notes;
  std::uint64_t first = 0;
  std::vector<std::byte> state;
  bool operator==(const ModelSession&) const = default;
};
using Model = std::map<int, ModelSession>;

// A place that a session has pinned, up to a block's number.
struct ModelPin {
  int which = 0;
  BlockPlace place;
  std::uint64_t number = 0;
  bool operator==(const ModelPin&) const = default;
};
using ModelPins = std::vector<ModelPin>;

// The process: dies with its first error, but for blocks that find no room.
class ScriptedRun {
 public:
  ScriptedRun(std::unique_ptr<io::Folder> folder, const seal::SecretBytes& key, StoreSettings settings,
              RandomSource& random)
      : folder_(std::move(folder)), key_(key), settings_(std::move(settings)), random_(random) {}
  ScriptedRun(MemoryDisk& disk, const seal::SecretBytes& key, StoreSettings settings, RandomSource& random)
      : ScriptedRun(std::make_unique<MemoryFolder>(disk), key, std::move(settings), random) {}

  // Each goes on where the run still lives; `model` is of what is on disk already.
  void open(const Model& model);
  void begin(int which);
  void resume(int which);
  void put(int which, std::uint64_t number, std::size_t bytes, std::uint64_t edition = 0);
  void truncate(int which, std::uint64_t number);
  // Of the chunks of such a block, wherever they are: pinned for block `number`, where they are found.
  void pin(int which, std::uint64_t found_number, std::uint64_t edition, std::uint64_t number);
  void note(int which, Note note, const std::string& value);
  void commit(int which);
  void checkpoint(int which, std::uint64_t number, std::vector<std::byte> state);
  void remove(int which);
  void leave(int which) { sessions_.erase(which); }

  bool alive() const { return alive_; }
  bool has(int which) const { return sessions_.contains(which); }
  std::uint64_t full() const { return full_; }
  // What is durable, and what is as well if the last call did all of its work before the run ended.
  const Model& durable() const { return durable_; }
  const Model& in_flight() const { return in_flight_; }
  // The places that must be there to be read with what was found.
  ModelPins pins_of(const Model& found) const;
  // That an earlier run has left.
  void inherit(const ModelPins& pins) { working_pins_ = durable_pins_ = in_flight_pins_ = pins; }
  std::uint64_t pins() const { return pins_; }
  Store* store() { return store_.get(); }

 private:
  bool settle(const Status& status);
  void take_scope(int which);
  void send_pins(int which);

  std::unique_ptr<io::Folder> folder_;
  const seal::SecretBytes& key_;
  StoreSettings settings_;
  RandomSource& random_;
  std::unique_ptr<Store> store_;
  std::map<int, std::unique_ptr<Session>> sessions_;
  std::map<int, ModelSession> working_;
  Model durable_, in_flight_;
  ModelPins working_pins_, durable_pins_, in_flight_pins_;
  std::uint64_t pins_ = 0;
  bool alive_ = true;
  std::uint64_t full_ = 0;
};

// What a store gives back of the sessions 0..9, every block read and compared. Fails the test for damage or other
// bytes.
std::optional<Model> read_back(Store& store);

// Every file's key was fresh: no header ever began with the random bytes of another. Gives how many.
std::size_t keys_used_once(const MemoryDisk& disk);

}  // namespace zferry::store
