// The form of a state table, and the machine that runs it. A core is a list of rows; nothing else decides what happens.
// What is not in the list is either ignored (our own late news) or a breach of the protocol (a peer's message at the
// wrong time).
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/clock.h"

namespace zferry::session {

// A row: in `from`, on `on`, go to `to` and do `then`, in this order.
template <class State, class Event, class Action>
struct Row {
  State from;
  Event on;
  State to;
  std::vector<Action> then;
};

// Traits: State, Event, Action (enums whose last enumerator is kCount), name() of each, rows(), peers_message(Event),
// breach().
template <class Traits>
class Table {
 public:
  using State = typename Traits::State;
  using Event = typename Traits::Event;
  using Action = typename Traits::Action;
  using TableRow = Row<State, Event, Action>;
  static constexpr std::size_t kStates = static_cast<std::size_t>(State::kCount);
  static constexpr std::size_t kEvents = static_cast<std::size_t>(Event::kCount);

  Table() {
    for (std::size_t s = 0; s < kStates; ++s)
      for (std::size_t e = 0; e < kEvents; ++e) at(static_cast<State>(s), static_cast<Event>(e)) = missing(s, e);
    for (const TableRow& row : Traits::rows()) at(row.from, row.on) = row;
  }
  const TableRow& row(State state, Event event) const {
    return rows_[static_cast<std::size_t>(state) * kEvents + static_cast<std::size_t>(event)];
  }
  // The whole table as text, a line a pair: the golden file, and docs/PROTOCOL.md's source.
  std::string text() const {
    std::string out;
    for (const TableRow& r : rows_) {
      if (r.then.empty() && r.from == r.to) continue;
      out.append(Traits::name(r.from))
          .append(" | ")
          .append(Traits::name(r.on))
          .append(" | ")
          .append(Traits::name(r.to))
          .append(" |");
      for (Action action : r.then) out.append(" ").append(Traits::name(action));
      out += '\n';
    }
    return out;
  }

 private:
  TableRow& at(State state, Event event) {
    return rows_[static_cast<std::size_t>(state) * kEvents + static_cast<std::size_t>(event)];
  }
  static TableRow missing(std::size_t s, std::size_t e) {
    auto state = static_cast<State>(s);
    auto event = static_cast<Event>(e);
    if (state != State::kEnded && Traits::peers_message(event)) return Traits::breach(state, event);
    return {state, event, state, {}};
  }

  std::array<TableRow, kStates * kEvents> rows_;
};

// The machine that runs a table: what both cores share. Traits also gives News.
template <class Traits>
class TableCore {
 public:
  using State = typename Traits::State;
  using Event = typename Traits::Event;
  using Action = typename Traits::Action;
  State state() const { return state_; }
  // When kDeadline must come unless the state changes first; kNever for none.
  TimePoint deadline() const { return deadline_; }
  static const Table<Traits>& table() {
    static const Table<Traits> table;
    return table;
  }

 protected:
  explicit TableCore(State first) : state_(first) {}
  // Moves on, and gives the row that was taken.
  const Row<State, Event, Action>& take(Event event) {
    const auto& row = table().row(state_, event);
    state_ = row.to;
    return row;
  }
  void set_deadline(TimePoint deadline) { deadline_ = deadline; }

 private:
  State state_;
  TimePoint deadline_ = kNever;
};

}  // namespace zferry::session
