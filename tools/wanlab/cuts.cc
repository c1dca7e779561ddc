#include "cuts.h"

#include <algorithm>
#include <utility>

namespace zferry::wanlab {

bool Cut::concerns(Direction direction, const std::optional<TcpFields>& tcp, const Flow* flow) const {
  if (!directions[index_of(direction)]) return false;
  if (port && !(tcp && (tcp->from.port == *port || tcp->to.port == *port))) return false;
  if (flows && !(flow != nullptr && flows->contains(flow->number))) return false;
  return true;
}

std::optional<std::uint64_t> Cuts::add(Cut cut) {
  if (open_.size() >= kCutsMax) return std::nullopt;
  cut.number = ++made_;
  open_.push_back(std::move(cut));
  return made_;
}

std::size_t Cuts::heal(std::optional<std::uint64_t> number, std::int64_t now_ns) {
  return std::erase_if(open_, [&](Cut& cut) {
    if (number && cut.number != *number) return false;
    healed_ = Healed{std::move(cut), now_ns, {}};
    return true;
  });
}

void Cuts::heal_due(std::int64_t now_ns) {
  std::erase_if(open_, [&](Cut& cut) {
    if (!cut.until_ns || *cut.until_ns > now_ns) return false;
    healed_ = Healed{std::move(cut), now_ns, {}};
    return true;
  });
}

std::optional<std::int64_t> Cuts::next_ns() const {
  std::optional<std::int64_t> next;
  for (const Cut& cut : open_) {
    if (cut.until_ns) next = std::min(next.value_or(*cut.until_ns), *cut.until_ns);
  }
  return next;
}

bool Cuts::drops(Direction direction, const std::optional<TcpFields>& tcp, const Flow* flow) const {
  return std::any_of(open_.begin(), open_.end(), [&](const Cut& cut) { return cut.concerns(direction, tcp, flow); });
}

void Cuts::passed(Direction direction, const Packet& packet, const std::optional<TcpFields>& tcp, const Flow* flow,
                  std::int64_t now_ns) {
  if (!healed_ || healed_->first[index_of(direction)] || packet.offered_ns < healed_->healed_ns) return;
  if (healed_->cut.concerns(direction, tcp, flow)) {
    healed_->first[index_of(direction)] = Healed::First{packet.offered_ns, now_ns};
  }
}

}  // namespace zferry::wanlab
