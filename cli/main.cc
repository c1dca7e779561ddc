// zferry: carries a ZFS send stream from one host to another. Each command's options are declared here and handled
// elsewhere.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "commands.h"
#include "console.h"
#include "shell_word.h"

namespace zferry::cli {
namespace {

constexpr const char* kCommands[] = {"send", "recv", "store", "key", "inspect"};

bool is_command(const std::string& word) {
  return std::find(std::begin(kCommands), std::end(kCommands), word) != std::end(kCommands);
}

bool is_key_command(const std::string& word) { return word == "gen" || word == "secret" || word == "pub"; }
bool is_store_command(const std::string& word) {
  return word == "status" || word == "verify" || word == "prune" || word == "import" || word == "stats";
}

// Everything behind "--" is the command's, whatever it looks like: the parser never sees it.
struct Words {
  std::vector<std::string> ours;
  std::vector<std::string> command;
  bool has_dashes = false;
  bool json = false;  // found without the parser, which may fail before it comes to it
};

Words split(int argc, char** argv) {
  Words words{{argv + 1, argv + argc}, {}};
  auto dashes = std::find(words.ours.begin(), words.ours.end(), "--");
  words.has_dashes = dashes != words.ours.end();
  if (words.has_dashes) words.command.assign(dashes + 1, words.ours.end());
  words.ours.erase(dashes, words.ours.end());
  words.json = std::find(words.ours.begin(), words.ours.end(), "--json") != words.ours.end();
  if (!words.ours.empty() && words.ours.front() == "help") {  // "zferry help send" is "zferry send --help"
    words.ours.erase(words.ours.begin());
    words.ours.push_back("--help");
  }
  return words;
}

// The command as one would type it again; what was piped into it is the shell's secret.
std::string command_line(int argc, char** argv, const Words& words) {
  bool piped = words.command.empty() && !words.ours.empty() && words.ours.front() == "send";
  std::string line = piped ? "... |" : "";
  for (int i = 0; i < argc; ++i) line += (line.empty() ? "" : " ") + shell_word(argv[i]);
  return line;
}

std::string help_for(const Words& words) {
  bool known = !words.ours.empty() && is_command(words.ours.front());
  return known ? "zferry " + words.ours.front() + " --help" : "zferry --help";
}

// What the parser would say less well.
std::optional<Error> wrong_command(const Words& words) {
  const std::vector<std::string>& ours = words.ours;
  if (ours.empty())
    return Error{Fault::kUsage, "no command is given: send, recv, store, key or inspect", "zferry --help"};
  if (ours.front() == "key" && ours.size() > 1 && !ours[1].starts_with('-') && !is_key_command(ours[1]))
    return Error{Fault::kUsage, "'" + escaped(ours[1], 40) + "' is no command of key: gen, secret, pub",
                 "zferry key --help"};
  if (ours.front() == "store" && ours.size() > 1 && !ours[1].starts_with('-') && !is_store_command(ours[1]))
    return Error{Fault::kUsage,
                 "'" + escaped(ours[1], 40) + "' is no command of store: status, stats, verify, import, prune",
                 "zferry store --help"};
  if (ours.front().starts_with('-') || is_command(ours.front())) return std::nullopt;
  return Error{Fault::kUsage, "'" + escaped(ours.front(), 40) + "' is no command: send, recv, key, inspect, store",
               "zferry --help"};
}

// A command behind "--" where none can be, or a word where none belongs.
std::optional<Error> wrong_words(const Words& words, const CLI::App& app, const TransferOptions& o) {
  if (!o.command.empty())
    return Error{Fault::kUsage, "'" + escaped(o.command.front(), 40) + "' is one word too many",
                 "a command to run stands behind --: zferry send ADDRESS:PORT -- zfs send tank/vm@monday"};
  if (words.has_dashes && words.command.empty())
    return Error{Fault::kUsage, "there is no command behind --", "leave -- out, or write the command behind it"};
  if (!words.command.empty() && !app.got_subcommand("send") && !app.got_subcommand("recv"))
    return Error{Fault::kUsage, "only send and recv run a command", "leave out -- and what follows it"};
  return std::nullopt;
}

void add_meeting(CLI::App& command, TransferOptions& o) {
  command.add_option("address", o.address, "ADDRESS:PORT, or a name of the peers file, to dial")
      ->type_name("ADDRESS:PORT");
  command
      .add_option("--listen", o.listen,
                  "ADDRESS:PORT to listen on (:PORT for every address, port 0: any) in place of dialling")
      ->type_name("ADDRESS:PORT");
  command.add_option("--key", o.key_file, "this end's private key (default: CONFIG/key)")->type_name("FILE");
  command.add_option("--peer", o.peer, "who dials: the listening end's public key, or its name in CONFIG/peers")
      ->type_name("KEY");
  command.add_option("--allow", o.allow_file, "who listens: file of public keys, one a line (default: CONFIG/allow)")
      ->type_name("FILE");
  command.add_option("--secret", o.secret_file, "a secret that both ends have, in place of keys: zferry key secret")
      ->type_name("FILE");
}

void add_shared(CLI::App& command, TransferOptions& o) {
  add_meeting(command, o);
  command.add_option("--io", o.io, "auto, uring or poll")->type_name("KIND")->capture_default_str();
  command
      .add_option("--limit", o.limit,
                  "rate on the link: 10M is bytes a second, 80Mbit is bits; by time of day: 80M,08:00-18:00=2M; @FILE: "
                  "what that file says, also when it changes")
      ->type_name("RATE");
  command
      .add_option("--lanes", o.lanes,
                  "connections side by side, 1 to 16: send: so many, recv: at most so many (default: as many as help)")
      ->check(CLI::Range(1, 16))
      ->option_text("N");
  command
      .add_option("--peer-timeout", o.peer_timeout,
                  "silence after which the other end counts as gone: 2s to 10m (default: 12s)")
      ->type_name("TIME");
  command
      .add_option("--state", o.state_folder,
                  "folder for completion records and the stores' key (default: /var/lib/zferry, or in your home)")
      ->type_name("FOLDER");
  command
      .add_option("--config", o.config_folder, "folder of key, peers and allow (default: /etc/zferry, or in your home)")
      ->type_name("FOLDER");
  command.add_option("--workers", o.workers, "threads for packing and sealing, at most 16 (default: one a core)")
      ->check(CLI::Range(0, 16))
      ->option_text("N");
  command.add_flag("--json", o.json, "JSON Lines on standard error");
  command.add_flag("--quiet,-q", o.quiet, "errors and warnings only");
  command.add_option("command", o.command, "after --: the command to run")->type_name("WORD");
}

void add_send(CLI::App& app, TransferOptions& o) {
  CLI::App* send = app.add_subcommand(
      "send", "read a stream (standard input, or of the command after --) and carry it to the target");
  add_shared(*send, o);
  send->add_option("--compress", o.compress, "auto, off, or a zstd level 1..12")
      ->type_name("LEVEL")
      ->capture_default_str();
  send->add_option("--congestion", o.congestion,
                   "congestion control: auto (BBR on long links, where the kernel gives it), system, or a name")
      ->type_name("NAME")
      ->capture_default_str();
  send->add_option("--size", o.size, "the stream's size, for percentages (zfs send -nP tells)")->type_name("BYTES");
  send->add_option("--session", o.session_name,
                   "a name for what is not a ZFS stream: the same command with the same name continues it")
      ->type_name("NAME");
  send->add_option("--give-up-after", o.give_up_after,
                   "how long to try to get a lost link back: a time, never, or 0 for not at all (default: 12h)")
      ->type_name("TIME");
  send->add_flag("--allow-empty", o.allow_empty, "an empty input is meant");
}

void add_recv(CLI::App& app, TransferOptions& o) {
  CLI::App* recv =
      app.add_subcommand("recv", "take a stream and give it to standard output, a file, or the command after --");
  add_shared(*recv, o);
  recv->add_option("--out", o.out, "write to this file: it appears when it is complete")->type_name("FILE");
  recv->add_option("--hold", o.hold,
                   "how long to keep a transfer whose source is gone, for the same command to continue it: a time, "
                   "never, or 0 (default: longer than the source tries)")
      ->type_name("TIME");
  recv->add_option(
          "--store", o.store,
          "keep the stream in this folder until ZFS has it, so that a crash of this end costs nothing; at most "
          "CAPACITY bytes of disk (default: most of what is free there)")
      ->type_name("FOLDER[:CAPACITY]");
  recv->add_option(
          "--store-failure", o.store_failure,
          "what becomes of the transfer when the store fails or is full: continue (without crash cover), or end")
      ->type_name("WHAT")
      ->capture_default_str();
  recv->add_option("--dedup-scope", o.dedup_scope,
                   "whose content the store looks for, so that what is there does not cross again: peer (of the same "
                   "source), dataset (and to the same destination), session (of this stream), or none (default: peer)")
      ->type_name("SCOPE");
  recv->add_option("--dataset", o.dataset,
                   "what the consumer fills, where its command does not say so; without a command: zfs receive -s -u "
                   "DATASET")
      ->type_name("DATASET");
  recv->footer(
      "Through crashes of either end, with 20 GB of disk:\n"
      "  zferry recv --listen :9443 --store /var/zferry/store:20G -- zfs receive -s -u pool/vm\n"
      "and after one the same command again. zferry store --help: what a store holds.");
  recv->add_option("--linger", o.linger, "how long to wait for the source to know of its success (default: 60s)")
      ->type_name("TIME");
}

void add_state_of_store(CLI::App& command, StoreOptions& o) {
  command
      .add_option("--state", o.state_folder,
                  "the state folder of the recv that made it, where its key is (default: /var/lib/zferry, or in your "
                  "home)")
      ->type_name("FOLDER");
  command.add_flag("--json", o.json, "JSON Lines");
}

void add_store_place(CLI::App& command, StoreOptions& o) {
  command.add_option("folder", o.folder, "the store: what recv --store names, without its capacity")
      ->type_name("FOLDER")
      ->required();
  add_state_of_store(command, o);
}

void add_import(CLI::App& store, StoreOptions& o) {
  CLI::App* import = store.add_subcommand(
      "import", "read a stream from standard input and keep its content, so that it need not cross the link");
  import->add_option("folder", o.folder, "the store, as recv --store names it; it is made where it is missing")
      ->type_name("FOLDER[:CAPACITY]")
      ->required();
  import
      ->add_option("--peer", o.peer,
                   "the source that will send the like: its public key, or its name in CONFIG/peers (default: the only "
                   "key of CONFIG/allow)")
      ->type_name("KEY");
  import->add_option("--secret", o.secret_file, "where both ends have a secret in place of keys: it, as recv has it")
      ->type_name("FILE");
  import->add_option("--config", o.config_folder, "folder of peers and allow (default: /etc/zferry, or in your home)")
      ->type_name("FOLDER");
  add_state_of_store(*import, o);
}

void add_store(CLI::App& app, StoreOptions& o) {
  CLI::App* store = app.add_subcommand("store", "look at, check, fill or clear the store of a target (recv --store)");
  store->require_subcommand(1);
  add_store_place(*store->add_subcommand("status", "what it holds, a line a session; also while it is in use"), o);
  add_store_place(
      *store->add_subcommand("stats", "what it finds again, and what that has saved; also while it is in use"), o);
  add_import(*store, o);
  add_store_place(*store->add_subcommand("verify", "read all of it and compare it with its seals"), o);
  CLI::App* prune = store->add_subcommand("prune", "give up a session: what it holds would have to cross again");
  add_store_place(*prune, o);
  prune->add_option("--session", o.session, "its id, or the beginning of it, as status shows it")->type_name("ID");
  prune->add_flag("--all", o.all, "all sessions");
  prune->add_flag("--yes", o.yes, "the session, where there is but one");
}

struct OtherOptions {
  std::string key_out, key_file, inspect_file;
  bool inspect_json = false;
};

void add_others(CLI::App& app, OtherOptions& o) {
  CLI::App* key = app.add_subcommand("key", "make and show keys");
  key->require_subcommand(1);
  CLI::App* gen = key->add_subcommand("gen", "a new private key on standard output; its public key on standard error");
  gen->add_option("--out", o.key_out, "a new file to write it to; its folder is made")->type_name("FILE");
  CLI::App* secret = key->add_subcommand("secret", "a new secret for both ends of one session");
  secret->add_option("--out", o.key_out, "a new file to write it to; its folder is made")->type_name("FILE");
  CLI::App* pub = key->add_subcommand("pub", "the public key of a private key on standard input, or in a file");
  pub->add_option("file", o.key_file, "the private key's file")->type_name("FILE");

  CLI::App* inspect = app.add_subcommand("inspect", "say what a stream is and whether its checksums hold");
  inspect->add_option("file", o.inspect_file, "the stream's file (default: standard input)")->type_name("FILE");
  inspect->add_flag("--json", o.inspect_json, "one JSON object");
}

int run_store(const CLI::App& command, const StoreOptions& options) {
  if (command.got_subcommand("status")) return store_status_command(options);
  if (command.got_subcommand("stats")) return store_stats_command(options);
  if (command.got_subcommand("verify")) return store_verify_command(options);
  if (command.got_subcommand("import")) return store_import_command(options);
  return store_prune_command(options);
}

int run(int argc, char** argv) {
  Words words = split(argc, argv);
  Console console(words.json, false);
  CLI::App app{
      "Carries a ZFS send stream from one host to another: fast, encrypted, checked.\n"
      "  zferry recv --listen :9443 -- zfs receive -s -u pool/vm\n"
      "  zferry send backup.example:9443 -- zfs send -w tank/vm@monday",
      "zferry"};
  app.set_version_flag("--version", "zferry " ZFERRY_VERSION);
  app.require_subcommand(1);
  TransferOptions options;
  OtherOptions others;
  StoreOptions store;
  add_send(app, options);
  add_recv(app, options);
  add_store(app, store);
  add_others(app, others);

  if (auto wrong = wrong_command(words)) return console.end(*wrong);
  try {
    app.parse(std::vector<std::string>(words.ours.rbegin(), words.ours.rend()));  // CLI11 takes its words last first
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return console.end({Fault::kUsage, escaped(error.what()), help_for(words)});
  }
  if (auto wrong = wrong_words(words, app, options)) return console.end(*wrong);
  options.command_line = command_line(argc, argv, words);
  options.command = std::move(words.command);
  if (app.got_subcommand("send")) return send_command(options);
  if (app.got_subcommand("recv")) return recv_command(options);
  if (app.got_subcommand("inspect")) return inspect_command(others.inspect_file, others.inspect_json);
  if (app.got_subcommand("store")) return run_store(*app.get_subcommand("store"), store);
  const CLI::App* key = app.get_subcommand("key");
  if (key->got_subcommand("gen")) return key_gen_command(others.key_out);
  if (key->got_subcommand("secret")) return key_secret_command(others.key_out);
  return key_pub_command(others.key_file);
}

// What nobody caught, memory that ran out mostly. Nothing is undone on the way: the children see their pipes end, as
// after a kill.
[[noreturn]] void end_at_once() {
  std::string why = "a bug in zferry";
  try {
    if (std::current_exception()) std::rethrow_exception(std::current_exception());
  } catch (const std::bad_alloc&) {
    why = "out of memory";
  } catch (const std::exception& error) {
    why += std::string(": ") + error.what();
  } catch (...) {
  }
  std::fprintf(stderr, "zferry: error: %s\nzferry: next: run the same command again: it goes on from what is kept\n",
               why.c_str());
  _exit(facts(Fault::kInternal).exit_code);
}

}  // namespace
}  // namespace zferry::cli

// Whatever is thrown ends in end_at_once().
int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape)
  prctl(PR_SET_DUMPABLE, 0);       // keys stay out of core dumps
  std::set_terminate(zferry::cli::end_at_once);
  return zferry::cli::run(argc, argv);
}
