// Where the WAN is cut at the moment: all of it, or the connections of one port, or named connections; in one direction
// or both. Remembers of the cut that was healed last which of its packets got through first. Bounded. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "flows.h"

namespace zferry::wanlab {

struct Cut {
  std::uint64_t number = 0;
  std::array<bool, 2> directions{true, true};
  std::optional<std::uint16_t> port;             // TCP, at either end
  std::optional<std::set<std::uint64_t>> flows;  // by number
  std::int64_t since_ns = 0;
  std::optional<std::int64_t> until_ns;

  bool concerns(Direction direction, const std::optional<TcpFields>& tcp, const Flow* flow) const;
};

/// The cut that was healed last, and the first packet after it in each direction that it would have dropped.
struct Healed {
  struct First {
    std::int64_t sent_ns = 0, arrived_ns = 0;
  };
  Cut cut;
  std::int64_t healed_ns = 0;
  std::array<std::optional<First>, 2> first;
};

class Cuts {
 public:
  static constexpr std::size_t kCutsMax = 64;

  /// Nothing where there are too many already; else the number of the cut.
  std::optional<std::uint64_t> add(Cut cut);

  /// Heals one, or all where none is named; how many that were.
  std::size_t heal(std::optional<std::uint64_t> number, std::int64_t now_ns);
  void heal_due(std::int64_t now_ns);
  std::optional<std::int64_t> next_ns() const;

  bool drops(Direction direction, const std::optional<TcpFields>& tcp, const Flow* flow) const;
  void passed(Direction direction, const Packet& packet, const std::optional<TcpFields>& tcp, const Flow* flow,
              std::int64_t now_ns);

  const std::vector<Cut>& open() const { return open_; }
  const std::optional<Healed>& last_healed() const { return healed_; }

 private:
  std::vector<Cut> open_;
  std::optional<Healed> healed_;
  std::uint64_t made_ = 0;
};

}  // namespace zferry::wanlab
