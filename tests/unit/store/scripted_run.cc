#include "unit/store/scripted_run.h"

#include <algorithm>

namespace zferry::store {

bool ScriptedRun::settle(const Status& status) {
  if (!status) {
    alive_ = false;
    return false;
  }
  durable_ = in_flight_;
  durable_pins_ = in_flight_pins_;
  return true;
}

void ScriptedRun::open(const Model& model) {
  durable_ = in_flight_ = model;
  auto store = Store::open(*folder_, key_, settings_, random_);
  alive_ = store.ok();
  if (store) store_ = std::move(*store);
}

void ScriptedRun::begin(int which) {
  if (!alive_) return;
  auto session = store_->begin(session_id(which), std::to_string(which));
  alive_ = session.ok();
  if (!alive_) return;
  sessions_[which] = std::move(*session);
  take_scope(which);
  working_[which] = {};
}

void ScriptedRun::resume(int which) {
  if (!alive_ || !durable_.contains(which)) return;
  auto session = store_->resume(session_id(which));
  alive_ = session.ok();
  if (!alive_) return;
  sessions_[which] = std::move(*session);
  take_scope(which);
  working_[which] = durable_[which];
}

void ScriptedRun::put(int which, std::uint64_t number, std::size_t bytes, std::uint64_t edition) {
  if (!alive_ || !sessions_.contains(which)) return;
  const Status status = settings_.window ? put_chunks(*sessions_[which], number, bytes, edition)
                                         : store::put(*sessions_[which], number, bytes, edition);
  if (!status && status.error().fault == Fault::kStoreFull) {
    ++full_;
    return;
  }
  alive_ = status.ok();
  ModelSession& session = working_[which];
  if (alive_ && number >= session.first) session.blocks.try_emplace(number, edition);
}

void ScriptedRun::truncate(int which, std::uint64_t number) {
  if (!alive_ || !sessions_.contains(which)) return;
  sessions_[which]->truncate(number);
  auto& blocks = working_[which].blocks;
  blocks.erase(blocks.lower_bound(number), blocks.end());
}

void ScriptedRun::send_pins(int which) {
  in_flight_pins_ = durable_pins_;
  std::erase_if(in_flight_pins_, [&](const ModelPin& pin) { return pin.which == which; });
  for (const ModelPin& pin : working_pins_)
    if (pin.which == which) in_flight_pins_.push_back(pin);
}

void ScriptedRun::take_scope(int which) {
  if (settings_.window) sessions_[which]->set_scope(scope_of(0));
}

void ScriptedRun::pin(int which, std::uint64_t found_number, std::uint64_t edition, std::uint64_t number) {
  if (!alive_ || !sessions_.contains(which)) return;
  const auto found = store_->find(scope_of(0), chunk_id(found_number, edition, 0), kChunkBytes);
  if (!found || !sessions_[which]->pin(found->place, number)) return;
  ++pins_;
  if (number >= sessions_[which]->first_number()) working_pins_.push_back({which, found->place, number});
}

ModelPins ScriptedRun::pins_of(const Model& found) const {
  if (!(durable_ == in_flight_)) return found == in_flight_ ? in_flight_pins_ : durable_pins_;
  ModelPins both = durable_pins_;
  std::erase_if(both,
                [&](const ModelPin& pin) { return std::ranges::find(in_flight_pins_, pin) == in_flight_pins_.end(); });
  return both;
}

void ScriptedRun::note(int which, Note note, const std::string& value) {
  if (!alive_ || !sessions_.contains(which)) return;
  sessions_[which]->set_note(note, as_bytes(value));
  working_[which].notes[note] = value;
}

void ScriptedRun::commit(int which) {
  if (!alive_ || !sessions_.contains(which)) return;
  in_flight_[which] = working_[which];
  send_pins(which);
  settle(sessions_[which]->commit());
}

void ScriptedRun::checkpoint(int which, std::uint64_t number, std::vector<std::byte> state) {
  if (!alive_ || !sessions_.contains(which)) return;
  std::uint64_t next = sessions_[which]->first_number();
  while (sessions_[which]->blocks().contains(next)) ++next;
  number = std::max(sessions_[which]->first_number(), std::min(number, next));  // blocks that found no room
  ModelSession& session = working_[which];
  session.first = number;
  session.state = state;
  session.blocks.erase(session.blocks.begin(), session.blocks.lower_bound(number));
  in_flight_[which] = session;
  std::erase_if(working_pins_, [&](const ModelPin& pin) { return pin.which == which && pin.number < number; });
  send_pins(which);
  settle(sessions_[which]->checkpoint(number, state));
}

void ScriptedRun::remove(int which) {
  if (!alive_ || !durable_.contains(which)) return;
  leave(which);
  in_flight_.erase(which);
  in_flight_pins_ = durable_pins_;
  for (ModelPins* pins : {&working_pins_, &in_flight_pins_})
    std::erase_if(*pins, [&](const ModelPin& pin) { return pin.which == which; });
  settle(store_->remove(session_id(which)));
}

std::optional<Model> read_back(Store& store) {
  Model model;
  for (const SessionSummary& summary : store.sessions()) {
    EXPECT_FALSE(summary.damage) << summary.damage->what;
    if (summary.damage) return {};
    const int which = std::to_integer<int>(summary.id[0]);
    EXPECT_EQ(summary.label, std::to_string(which));
    auto session = store.resume(summary.id);
    EXPECT_TRUE(session) << session.error().what;
    if (!session) return {};
    ModelSession& found = model[which];
    found.first = (*session)->first_number();
    found.state = (*session)->checkpoint_state();
    for (Note note : {Note::kSession, Note::kRun, Note::kFinal})
      if (auto value = (*session)->note(note)) found.notes[note] = as_text(*value);
    for (const auto& [number, block] : (*session)->blocks()) {
      std::uint64_t edition = 0;
      while (edition < 4 && !gives_back(**session, number, edition)) ++edition;
      EXPECT_LT(edition, 4u) << gives_back(**session, number, 0).message();
      found.blocks[number] = edition;
    }
  }
  return model;
}

std::size_t keys_used_once(const MemoryDisk& disk) {
  std::set<std::string> salts;
  std::size_t files = 0;
  for (const auto& header : disk.headers) {
    if (header.size() != 64) continue;  // "format"
    salts.insert(std::string(as_text(ConstBytes(header).subspan(16, 32))));
    ++files;
  }
  EXPECT_EQ(salts.size(), files);
  return files;
}

}  // namespace zferry::store
