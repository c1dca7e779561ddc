#include "flows.h"

#include <algorithm>

namespace zferry::wanlab {
namespace {

bool behind(std::uint32_t left, std::uint32_t right) { return static_cast<std::int32_t>(left - right) > 0; }

}  // namespace

FlowTable::Key FlowTable::key_of(Direction direction, const TcpFields& tcp) {
  return direction == Direction::kAToB ? Key{tcp.from, tcp.to} : Key{tcp.to, tcp.from};
}

Flow& FlowTable::note(Direction direction, const TcpFields& tcp, std::int64_t now_ns) {
  const Key key = key_of(direction, tcp);
  const bool opens = (tcp.flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  auto found = flows_.find(key);
  if (found != flows_.end() && opens) {
    const Flow::Side& opener = found->second.sides[index_of(direction)];
    if (!opener.heard || opener.syn_seq != tcp.seq) {  // the same ports again, for another connection
      by_silence_.erase({found->second.last_ns, key});
      flows_.erase(found);
      found = flows_.end();
    }
  }
  if (found == flows_.end()) {
    if (flows_.size() >= kFlowsMax) forget_one();
    found = flows_.emplace(key, Flow{}).first;
    found->second.number = ++opened_;
    found->second.opened_ns = now_ns;
    found->second.sides[0].endpoint = key.first;
    found->second.sides[1].endpoint = key.second;
  } else {
    by_silence_.erase({found->second.last_ns, key});
  }
  Flow& flow = found->second;
  flow.last_ns = now_ns;
  by_silence_.insert({now_ns, key});
  Flow::Side& sender = flow.sides[index_of(direction)];
  sender.heard = true;
  sender.sent_bytes += tcp.payload_bytes;
  if ((tcp.flags & kTcpSyn) != 0) sender.syn_seq = tcp.seq;
  if ((tcp.flags & kTcpAck) != 0 && (!sender.acknowledged || behind(tcp.ack, *sender.acknowledged))) {
    sender.acknowledged = tcp.ack;
  }
  return flow;
}

Flow* FlowTable::find(Direction direction, const TcpFields& tcp) {
  const auto found = flows_.find(key_of(direction, tcp));
  return found == flows_.end() ? nullptr : &found->second;
}

Flow* FlowTable::delivered(Direction direction, const TcpFields& tcp) {
  Flow* const known = find(direction, tcp);
  if (known == nullptr) return nullptr;
  Flow& flow = *known;
  Flow::Side& receiver = flow.sides[index_of(reverse_of(direction))];
  if (!receiver.delivered_end || behind(tcp.end_seq(), *receiver.delivered_end)) {
    receiver.delivered_end = tcp.end_seq();
  }
  if ((tcp.flags & kTcpFin) != 0) flow.sides[index_of(direction)].fin = true;
  if ((tcp.flags & kTcpRst) != 0 || (flow.sides[0].fin && flow.sides[1].fin)) flow.over = true;
  return &flow;
}

void FlowTable::forget_one() {
  const auto oldest = by_silence_.begin();
  flows_.erase(oldest->second);
  by_silence_.erase(oldest);
}

std::vector<Flow*> FlowTable::live() {
  std::vector<Flow*> found;
  for (auto& [key, flow] : flows_) {
    if (flow.live()) found.push_back(&flow);
  }
  std::sort(found.begin(), found.end(), [](const Flow* l, const Flow* r) { return l->number < r->number; });
  return found;
}

std::vector<const Flow*> FlowTable::all() const {
  std::vector<const Flow*> found;
  for (const auto& [key, flow] : flows_) found.push_back(&flow);
  std::sort(found.begin(), found.end(), [](const Flow* l, const Flow* r) { return l->number < r->number; });
  return found;
}

std::vector<Injection> reset_flow(Flow& flow) {
  flow.reset = true;
  std::vector<Injection> made;
  for (const Direction direction : kDirections) {
    const Flow::Side& from = flow.sides[index_of(direction)];
    const Flow::Side& to = flow.sides[index_of(reverse_of(direction))];
    const auto add = [&](std::uint32_t seq, std::optional<std::uint32_t> ack) {
      made.push_back({direction, make_reset(from.endpoint, to.endpoint, seq, ack)});
    };
    if (to.heard && !to.acknowledged) {
      add(0, to.syn_seq + 1);  // it has sent its SYN only: a refusal
      continue;
    }
    // Where bytes are missing in between it waits for the first; where it delays its acknowledgement, for the second.
    // The wrong one does no harm, and if both were wrong, what it sends next is answered by answer_reset().
    if (to.acknowledged) add(*to.acknowledged, std::nullopt);
    if (to.delivered_end && to.delivered_end != to.acknowledged) add(*to.delivered_end, std::nullopt);
  }
  return made;
}

std::optional<Injection> answer_reset(Direction direction, const TcpFields& tcp) {
  if ((tcp.flags & kTcpRst) != 0 || (tcp.flags & kTcpAck) == 0) return std::nullopt;
  return Injection{reverse_of(direction), make_reset(tcp.to, tcp.from, tcp.ack, std::nullopt)};
}

}  // namespace zferry::wanlab
