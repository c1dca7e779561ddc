// What the control socket understands: set, cut, heal, reset, stats, flows, quit. Values are plain numbers (bits,
// nanoseconds, bytes, shares); tools/wanlab/lab.py turns what people write into them.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>
#include <utility>

#include "carrier.h"

namespace zferry::wanlab {
namespace {

constexpr std::array<const char*, 2> kDirectionNames{"a-to-b", "b-to-a"};
constexpr std::size_t kFlowsShownMax = 512;  // an answer fits into the buffer of a socket
constexpr std::int64_t kTimeMaxNs = 3600LL * 1'000'000'000;

std::string refuse(std::string_view why) { return fmt::format(R"({{"ok":false,"error":"{}"}})", why); }

/// Both, one, or none of the directions where the word is not known.
std::array<bool, 2> directions_of(std::string_view word) {
  return {word == "both" || word == kDirectionNames[0], word == "both" || word == kDirectionNames[1]};
}

using Words = std::multimap<std::string, std::string>;

/// A number in [0, max]; nothing for anything else.
std::optional<double> number_in(const std::string& text, double max) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= max)) return std::nullopt;
  return value;
}

/// One `key=value` of `set`. False where it makes no sense.
bool apply(LinkSettings& settings, const std::string& key, const std::string& text) {
  const auto take = [&](auto& field, double max) {
    const auto value = number_in(text, max);
    if (value) field = static_cast<std::remove_reference_t<decltype(field)>>(*value);
    return value.has_value();
  };
  if (key == "rate") return take(settings.rate_bits_s, 1e12);
  if (key == "delay") return take(settings.delay_ns, static_cast<double>(kTimeMaxNs));
  if (key == "jitter") return take(settings.jitter_ns, static_cast<double>(kTimeMaxNs));
  if (key == "reorder") return take(settings.reorder, 1);
  if (key == "loss") return take(settings.loss, 1);
  if (key == "burst_loss") return take(settings.burst_loss, 1);
  if (key == "burst_packets") return take(settings.burst_packets, 1e9);
  if (key == "queue") return take(settings.queue_bytes, 1e12);
  return false;
}

std::string shown(const LinkCounts::Sum& sum) {
  return fmt::format(R"({{"packets":{},"bytes":{}}})", sum.packets, sum.bytes);
}

std::string shown(const LinkSettings& settings) {
  return fmt::format(
      R"({{"rate":{},"delay_ns":{},"jitter_ns":{},"reorder":{},"loss":{},"burst_loss":{},"burst_packets":{},"queue_bytes":{}}})",
      settings.rate_bits_s, settings.delay_ns, settings.jitter_ns, settings.reorder, settings.loss, settings.burst_loss,
      settings.burst_packets, settings.queue_bytes);
}

std::string shown(const std::optional<std::int64_t>& value) { return value ? fmt::format("{}", *value) : "null"; }

std::string shown(const Cut& cut) {
  std::string flows = "null";
  if (cut.flows) {
    flows = "[";
    for (const std::uint64_t number : *cut.flows) flows += fmt::format("{}{}", flows.size() > 1 ? "," : "", number);
    flows += "]";
  }
  return fmt::format(R"({{"cut":{},"a-to-b":{},"b-to-a":{},"port":{},"flows":{},"since_ns":{},"until_ns":{}}})",
                     cut.number, cut.directions[0], cut.directions[1], cut.port ? fmt::format("{}", *cut.port) : "null",
                     flows, cut.since_ns, shown(cut.until_ns));
}

std::string shown(const std::optional<Healed>& healed) {
  if (!healed) return "null";
  std::string first;
  for (const Direction direction : kDirections) {
    const auto& packet = healed->first[index_of(direction)];
    first += fmt::format(
        R"(,"{}":{})", kDirectionNames[index_of(direction)],
        packet ? fmt::format(R"({{"sent_ns":{},"arrived_ns":{}}})", packet->sent_ns, packet->arrived_ns) : "null");
  }
  return fmt::format(R"({{"cut":{},"since_ns":{},"healed_ns":{},"first_passed":{{{}}}}})", healed->cut.number,
                     healed->cut.since_ns, healed->healed_ns, first.substr(1));
}

std::string shown(const Endpoint& endpoint) {
  std::string text;
  if (!endpoint.v6) {
    const auto& a = endpoint.address;
    return fmt::format("{}.{}.{}.{}:{}", a[0], a[1], a[2], a[3], endpoint.port);
  }
  for (std::size_t at = 0; at < 16; at += 2) {
    text += fmt::format("{}{:x}", at == 0 ? "" : ":", endpoint.address[at] << 8 | endpoint.address[at + 1]);
  }
  return fmt::format("[{}]:{}", text, endpoint.port);
}

std::string shown(const Flow& flow) {
  return fmt::format(
      R"({{"flow":{},"a":"{}","b":"{}","live":{},"reset":{},"opened_ns":{},"last_ns":{},"a_sent_bytes":{},"b_sent_bytes":{}}})",
      flow.number, shown(flow.sides[0].endpoint), shown(flow.sides[1].endpoint), flow.live(), flow.reset,
      flow.opened_ns, flow.last_ns, flow.sides[0].sent_bytes, flow.sides[1].sent_bytes);
}

}  // namespace

/// The commands. Each takes the words behind its name and gives its answer.
struct Carrier::Answers {
  Carrier& carrier;
  std::int64_t now_ns;
  Words words;

  std::optional<std::string> word(const std::string& key) const {
    const auto found = words.find(key);
    return found == words.end() ? std::nullopt : std::optional(found->second);
  }

  std::string set() {
    const auto which = directions_of(word("direction").value_or("both"));
    if (!which[0] && !which[1]) return refuse("set: a direction is a-to-b, b-to-a or both");
    std::array<LinkSettings, 2> wanted{carrier.links_[0].settings(), carrier.links_[1].settings()};
    for (const Direction direction : kDirections) {
      LinkSettings& settings = wanted[index_of(direction)];
      if (!which[index_of(direction)]) continue;
      for (const auto& [key, value] : words) {
        if (key != "direction" && !apply(settings, key, value))
          return refuse("set: " + key + "=" + value + " makes no sense");
      }
      if (settings.jitter_ns > settings.delay_ns) return refuse("set: the jitter is larger than the delay one way");
    }
    for (const Direction direction : kDirections) {
      if (which[index_of(direction)])
        carrier.links_[index_of(direction)].configure(wanted[index_of(direction)], now_ns);
    }
    return R"({"ok":true})";
  }

  /// Reads who is concerned: `port`, `flow` (repeatable), `first`. False where that makes no sense.
  bool choose(Cut& cut) {
    if (const auto text = word("port")) {
      const auto port = number_in(*text, 65535);
      if (!port) return false;
      cut.port = static_cast<std::uint16_t>(*port);
    }
    for (auto [at, end] = words.equal_range("flow"); at != end; ++at) {
      const auto number = number_in(at->second, 1e15);
      if (!number) return false;
      if (!cut.flows) cut.flows.emplace();
      cut.flows->insert(static_cast<std::uint64_t>(*number));
    }
    if (const auto text = word("first")) {
      const auto count = number_in(*text, 1e6);
      if (!count) return false;
      if (!cut.flows) cut.flows.emplace();
      const auto wanted = static_cast<std::size_t>(*count);
      for (const Flow* flow : carrier.flows_.live()) {
        if (cut.flows->size() >= wanted) break;
        if (!cut.port || flow->sides[0].endpoint.port == *cut.port || flow->sides[1].endpoint.port == *cut.port) {
          cut.flows->insert(flow->number);
        }
      }
    }
    return true;
  }

  /// Resets the flows that are concerned; how many.
  std::size_t reset_concerned(const Cut& cut) {
    std::size_t count = 0;
    for (Flow* const flow : carrier.flows_.live()) {
      TcpFields as_sent;
      as_sent.from = flow->sides[0].endpoint;
      as_sent.to = flow->sides[1].endpoint;
      if (!cut.concerns(Direction::kAToB, as_sent, flow) && !cut.concerns(Direction::kBToA, as_sent, flow)) continue;
      for (const Injection& injection : reset_flow(*flow)) carrier.inject(injection);
      ++count;
    }
    return count;
  }

  std::string cut() {
    Cut cut;
    cut.since_ns = now_ns;
    cut.directions = directions_of(word("direction").value_or("both"));
    if (!cut.directions[0] && !cut.directions[1]) return refuse("cut: a direction is a-to-b, b-to-a or both");
    if (!choose(cut)) return refuse("cut: port=, flow= and first= take numbers");
    if (const auto text = word("for_ns")) {
      const auto length = number_in(*text, static_cast<double>(kTimeMaxNs));
      if (!length) return refuse("cut: for_ns= takes nanoseconds, an hour at most");
      cut.until_ns = now_ns + static_cast<std::int64_t>(*length);
    }
    carrier.drop_concerned(&cut, now_ns);
    const auto number = carrier.cuts_.add(cut);
    if (!number) return refuse("cut: there are too many already");
    const std::size_t resets = word("rst").value_or("0") == "1" ? reset_concerned(cut) : 0;
    carrier.drop_concerned(nullptr, now_ns);
    return fmt::format(R"({{"ok":true,"now_ns":{},"cut":{},"reset":{}}})", now_ns, *number, resets);
  }

  std::string reset() {
    Cut chosen;
    if (!choose(chosen)) return refuse("reset: port=, flow= and first= take numbers");
    const std::size_t resets = reset_concerned(chosen);
    carrier.drop_concerned(nullptr, now_ns);
    return fmt::format(R"({{"ok":true,"now_ns":{},"reset":{}}})", now_ns, resets);
  }

  std::string heal() {
    std::optional<std::uint64_t> number;
    if (const auto text = word("cut")) {
      const auto value = number_in(*text, 1e15);
      if (!value) return refuse("heal: cut= takes the number of a cut");
      number = static_cast<std::uint64_t>(*value);
    }
    const std::size_t healed = carrier.cuts_.heal(number, now_ns);
    return fmt::format(R"({{"ok":true,"now_ns":{},"healed":{}}})", now_ns, healed);
  }

  std::string of_direction(Direction direction) const {
    const Link& link = carrier.links_[index_of(direction)];
    const LinkCounts& counts = link.counts();
    const Counts& more = carrier.counts_[index_of(direction)];
    const std::uint64_t overruns = carrier.tuns_[index_of(direction)].overruns();
    return fmt::format(
        R"({{"settings":{},"offered":{},"delivered":{},"dropped":{{"queue":{},"loss":{},"burst_loss":{},"cut":{},"reset":{},)"
        R"("memory":{},"refused":{}}},"overruns":{},"queue_bytes":{},"queue_bytes_peak":{},"resets_sent":{},"reads":{},)"
        R"("writes":{},"late_us_mean":{:.1f},"late_us_max":{:.1f}}})",
        shown(link.settings()), shown(counts.offered), shown(counts.delivered), shown(counts.dropped_queue),
        shown(counts.dropped_loss), shown(counts.dropped_burst), shown(more.dropped_cut), shown(more.dropped_reset),
        shown(counts.dropped_memory), shown(more.refused), overruns, link.queue_bytes(), counts.queue_bytes_peak,
        more.resets_sent, more.reads, more.writes,
        more.writes == 0 ? 0 : static_cast<double>(more.late_ns_sum) / static_cast<double>(more.writes) / 1e3,
        static_cast<double>(more.late_ns_max) / 1e3);
  }

  std::string stats() {
    std::string cuts;
    for (const Cut& cut : carrier.cuts_.open()) cuts += (cuts.empty() ? "" : ",") + shown(cut);
    return fmt::format(R"({{"ok":true,"now_ns":{},"seed":{},"a-to-b":{},"b-to-a":{},"cuts":[{}],"last_heal":{}}})",
                       now_ns, carrier.seed_, of_direction(Direction::kAToB), of_direction(Direction::kBToA), cuts,
                       shown(carrier.cuts_.last_healed()));
  }

  std::string flows() {
    std::string listed;
    const auto all = carrier.flows_.all();
    const std::size_t left_out = all.size() - std::min(all.size(), kFlowsShownMax);
    for (std::size_t at = left_out; at < all.size(); ++at) listed += (listed.empty() ? "" : ",") + shown(*all[at]);
    return fmt::format(R"({{"ok":true,"now_ns":{},"left_out":{},"flows":[{}]}})", now_ns, left_out, listed);
  }
};

std::string Carrier::command(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::string name, text;
  in >> name;
  Answers answers{*this, monotonic_ns(), {}};
  while (in >> text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || text.find_first_of("\"\\") != std::string::npos) {
      return refuse("words are key=value, without quotes");
    }
    answers.words.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  if (name == "set") return answers.set();
  if (name == "cut") return answers.cut();
  if (name == "heal") return answers.heal();
  if (name == "reset") return answers.reset();
  if (name == "stats") return answers.stats();
  if (name == "flows") return answers.flows();
  if (name == "quit") {
    told_to_end_ = true;
    return R"({"ok":true})";
  }
  return refuse("commands are set, cut, heal, reset, stats, flows, quit");
}

}  // namespace zferry::wanlab
