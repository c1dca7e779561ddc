// store status, verify and prune: what a store holds goes to standard output, what is wrong with it to standard error.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "shell_word.h"
#include "store.h"
#include "store_text.h"

namespace zferry::cli {
namespace {

constexpr std::size_t kShortId = 12;  // of its digits, shown: as many as tell sessions apart
constexpr std::size_t kIdDigitsMin = 4;

std::string short_id(const StoredSession& session) { return session.id.substr(0, kShortId); }

std::string name_of(const StoredSession& session) {
  std::string name = session.stream_name.empty() ? "a stream without a name" : escaped(session.stream_name);
  return session.destination.empty() ? name : name + " -> " + escaped(session.destination, 600);
}

std::string local_time(std::int64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  char text[32] = "?";
  if (localtime_r(&time, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

std::string line_of(const StoredSession& session) {
  const store::SessionSummary& is = session.summary;
  const std::string start = short_id(session) + "  ";
  if (is.damage)
    return start + fmt::format("{}: DAMAGED: {}; {} on disk", name_of(session), is.damage->what, human(is.disk_bytes));
  std::string text = start + fmt::format("{}: begun {}, holds {}", name_of(session), local_time(is.begun_unix_s),
                                         counted(is.blocks, "block"));
  text += fmt::format(" of {} ({} on disk)", human(is.packed_bytes), human(is.disk_bytes));
  if (is.first_number == 0) {
    text += ", nothing applied yet";
  } else {
    text += is.first_offset ? fmt::format(", applied up to {} of the stream", human(*is.first_offset))
                            : fmt::format(", applied up to block {}", is.first_number);
  }
  return is.next_offset ? text + fmt::format(", durable up to {}", human(*is.next_offset)) : text;
}

nlohmann::json object_of(const StoredSession& session) {
  const store::SessionSummary& is = session.summary;
  nlohmann::json object{{"type", "store-session"},
                        {"session", session.id},
                        {"stream_name", escaped(session.stream_name)},
                        {"destination", escaped(session.destination, 600)},
                        {"begun_unix_s", is.begun_unix_s},
                        {"blocks", is.blocks},
                        {"packed_bytes", is.packed_bytes},
                        {"disk_bytes", is.disk_bytes},
                        {"applied_blocks", is.first_number},
                        {"durable_blocks", is.next_number}};
  if (is.first_offset) object["applied_stream_bytes"] = *is.first_offset;
  if (is.next_offset) object["durable_stream_bytes"] = *is.next_offset;
  if (is.damage) object["damage"] = is.damage->what;
  return object;
}

// A command on the same store, as it can be typed.
std::string command_on(const StoreOptions& options, const std::string& verb, const std::string& more = {}) {
  std::string text = "zferry store " + verb + " " + shell_word(options.folder);
  if (!options.state_folder.empty()) text += " --state " + shell_word(options.state_folder);
  return more.empty() ? text : text + " " + more;
}

// What no session needs would look as if it were lost.
std::string window_text(const StoreContents& contents) {
  if (contents.window_bytes == 0) return {};
  return fmt::format(" ({} kept to be found again)", human(contents.window_bytes));
}

// What to do about damage, where the error does not say.
Error with_next(Error error, const StoreOptions& options, const std::vector<std::string>& damaged_ids) {
  const std::string which =
      damaged_ids.size() == 1 ? "--session " + damaged_ids[0].substr(0, kShortId) : "--session ID (each of them)";
  error.next = "see to the disk (dmesg); what is damaged can only be given up: " + command_on(options, "prune", which) +
               ", and the next transfer sends it anew";
  return error;
}

std::string window_verdict(const StoreVerdict& verdict) {
  if (verdict.window_blocks + verdict.window_damaged == 0) return {};
  const std::string damage = verdict.window_damaged == 0
                                 ? "all whole"
                                 : fmt::format("{} damaged: what is in them crosses again", verdict.window_damaged);
  return fmt::format("kept to be found again: {}: {}\n",
                     counted(verdict.window_blocks + verdict.window_damaged, "block"), damage);
}

// Before anything is given up: what there is, and how to say which.
int refuse(const StoreOptions& options, const std::vector<StoredSession>& sessions, Error why) {
  std::string lines;
  for (const StoredSession& session : sessions)
    lines += options.json ? json_line(object_of(session)) : line_of(session) + "\n";
  if (Status printed = print_output(lines); !printed) why = printed.take_error();
  return Console(options.json, false).end(why);
}

Result<std::vector<StoredSession>> chosen(const StoreOptions& options, const std::vector<StoredSession>& sessions) {
  if (options.all) return sessions;
  if (options.session.empty()) {
    if (sessions.size() == 1 && options.yes) return sessions;
    const std::string only = sessions.size() == 1 ? "--session " + short_id(sessions[0]) : "--session ID, or --all";
    return Error{Fault::kUsage, counted(sessions.size(), "session") + " there, and none was chosen to be given up",
                 "what it holds crosses the link again: " + command_on(options, "prune", only)};
  }
  std::vector<StoredSession> found;
  std::ranges::copy_if(sessions, std::back_inserter(found),
                       [&](const StoredSession& session) { return session.id.starts_with(options.session); });
  if (found.size() == 1) return found;
  return Error{Fault::kUsage,
               fmt::format("--session {}: {}", escaped(options.session, 70),
                           found.empty() ? "no session's id begins so" : "more than one session's id begins so"),
               "give the id as it is shown: " + command_on(options, "status")};
}

std::string after_pruning(const std::vector<StoredSession>& pruned) {
  std::string next = "the next transfer of it begins anew";
  for (const StoredSession& session : pruned) {
    if (session.ask_command.empty() || session.give_up_command.empty()) continue;
    next += fmt::format(
        "; where \"{}\" prints a token, \"zferry send ... -- zfs send -t TOKEN\" brings the rest alone, and \"{}\" "
        "gives that up, too",
        session.ask_command, session.give_up_command);
  }
  return next;
}

}  // namespace

int store_status_command(const StoreOptions& typed) {
  StoreOptions options = typed;
  Console console(options.json, false);
  auto place = store_place(options);
  if (!place) return console.end(place.error());
  auto contents = store_contents(*place);
  if (!contents) return console.end(contents.error());
  std::string text;
  std::vector<std::string> damaged;
  std::optional<Error> damage;
  for (const StoredSession& session : contents->sessions) {
    text += options.json ? json_line(object_of(session)) : line_of(session) + "\n";
    if (!session.summary.damage) continue;
    damage = session.summary.damage;
    damaged.push_back(session.id);
  }
  text += options.json ? json_line({{"type", "store-status"},
                                    {"folder", escaped(options.folder, 4096)},
                                    {"sessions", contents->sessions.size()},
                                    {"used_bytes", contents->used_bytes},
                                    {"window_bytes", contents->window_bytes},
                                    {"disk_free_bytes", contents->free_bytes}})
                       : fmt::format("{}: {}, {} used{}, {} free on its disk\n", escaped(options.folder, 4096),
                                     counted(contents->sessions.size(), "session"), human(contents->used_bytes),
                                     window_text(*contents), human(contents->free_bytes));
  if (Status printed = print_output(text); !printed) return console.end(printed.error());
  return damage ? console.end(with_next(*damage, options, damaged)) : 0;
}

int store_verify_command(const StoreOptions& typed) {
  StoreOptions options = typed;
  Console console(options.json, false);
  auto place = store_place(options);
  if (!place) return console.end(place.error());
  auto verdict = verify_store(*place);
  if (!verdict) return console.end(verdict.error());
  std::string text;
  std::vector<std::string> damaged;
  for (const StoreDamage& each : verdict->damaged) {
    text += options.json
                ? json_line({{"type", "store-damage"},
                             {"session", each.session.id},
                             {"stream_name", escaped(each.session.stream_name)},
                             {"damage", each.error.what}})
                : fmt::format("{}  {}: DAMAGED: {}\n", short_id(each.session), name_of(each.session), each.error.what);
    damaged.push_back(each.session.id);
  }
  text += options.json ? json_line({{"type", "store-verification"},
                                    {"folder", escaped(options.folder, 4096)},
                                    {"sessions", verdict->sessions},
                                    {"blocks", verdict->blocks},
                                    {"packed_bytes", verdict->packed_bytes},
                                    {"shared_blocks", verdict->shared_blocks},
                                    {"window_blocks", verdict->window_blocks},
                                    {"damaged_window_blocks", verdict->window_damaged},
                                    {"damaged_sessions", damaged.size()}})
                       : fmt::format("{}: {}, {} of {} read and compared with their seals: {}\n{}",
                                     escaped(options.folder, 4096), counted(verdict->sessions, "session"),
                                     counted(verdict->blocks, "block"), human(verdict->packed_bytes),
                                     damaged.empty() ? "all whole" : counted(damaged.size(), "session") + " damaged",
                                     window_verdict(*verdict));
  if (Status printed = print_output(text); !printed) return console.end(printed.error());
  return damaged.empty() ? 0 : console.end(with_next(verdict->damaged.front().error, options, damaged));
}

int store_prune_command(const StoreOptions& typed) {
  StoreOptions options = typed;
  Console console(options.json, false);
  auto place = store_place(options);
  if (!place) return console.end(place.error());
  if (options.all && !options.session.empty())
    return console.end({Fault::kUsage, "--all and --session exclude each other", "leave one of them out"});
  if (!options.session.empty() && options.session.size() < kIdDigitsMin)
    return console.end({Fault::kUsage, "--session is too short to be meant", command_on(options, "status")});
  auto contents = store_contents(*place);
  if (!contents) return console.end(contents.error());
  std::vector<StoredSession> pruned;
  if (!contents->sessions.empty() || !options.session.empty()) {
    auto choice = chosen(options, contents->sessions);
    if (!choice) return refuse(options, contents->sessions, choice.take_error());
    pruned = std::move(*choice);
  }
  std::vector<store::SessionId> ids;
  std::ranges::transform(pruned, std::back_inserter(ids), [](const StoredSession& each) { return each.summary.id; });
  auto pruning = prune_store(*place, ids);
  if (!pruning) return console.end(pruning.error());
  const std::string next = after_pruning(pruned);
  std::string text;
  if (options.json) {
    nlohmann::json object{{"type", "store-pruning"},
                          {"folder", escaped(options.folder, 4096)},
                          {"sessions", pruning->sessions},
                          {"freed_bytes", pruning->freed_bytes},
                          {"used_bytes", pruning->used_bytes}};
    if (!pruned.empty()) object["next"] = next;
    text = json_line(object);
  } else {
    for (const StoredSession& session : pruned)
      text += fmt::format("{}  {}: given up\n", short_id(session), name_of(session));
    text += fmt::format("{}: {} removed, {} freed, {} used\n", escaped(options.folder, 4096),
                        counted(pruning->sessions, "session"), human(pruning->freed_bytes), human(pruning->used_bytes));
    if (!pruned.empty()) text += "next: " + next + "\n";
  }
  Status printed = print_output(text);
  return printed ? 0 : console.end(printed.error());
}

}  // namespace zferry::cli
