// zferry: carries a ZFS send stream from one host to another. Each command's options are declared here and handled
// elsewhere.
#include <sys/prctl.h>
#include <CLI/CLI.hpp>

#include "commands.h"
#include "console.h"

namespace zferry::cli {
namespace {

void add_shared(CLI::App& command, TransferOptions& o) {
  command.add_option("address", o.address, "ADDRESS:PORT, or a name of the peers file, to dial");
  command.add_option("--listen", o.listen,
                     "ADDRESS:PORT to listen on (:PORT for every address, port 0: any) in place of dialling");
  command.add_option("--key", o.key_file, "this end's private key (default: CONFIG/key)");
  command.add_option("--peer", o.peer, "who dials: the listening end's public key, or its name in CONFIG/peers");
  command.add_option("--allow", o.allow_file, "who listens: file of public keys, one a line (default: CONFIG/allow)");
  command.add_option("--secret", o.secret_file, "a secret that both ends have, in place of keys: zferry key secret");
  command.add_option("--io", o.io, "auto, uring or poll")->capture_default_str();
  command.add_option("--limit", o.limit, "rate on the link: 10M is bytes a second, 80Mbit is bits");
  command.add_option("--give-up-after", o.give_up_after, "how long to try to get a lost link back; only 0 yet")
      ->capture_default_str();
  command.add_option("--peer-timeout", o.peer_timeout, "silence after which the other end counts as gone (12s)");
  command.add_option("--state", o.state_folder,
                     "folder for completion records (default: /var/lib/zferry, or in your home)");
  command.add_option("--config", o.config_folder,
                     "folder of key, peers and allow (default: /etc/zferry, or in your home)");
  command.add_option("--workers", o.workers, "threads for packing and sealing (default: one a core)")
      ->check(CLI::Range(0, 16));
  command.add_flag("--json", o.json, "JSON Lines on standard error");
  command.add_flag("--quiet,-q", o.quiet, "errors and warnings only");
  command.add_option("command", o.command, "after --: the command to run");
}

// Everything behind "--" is the command's, whatever it looks like: the parser never sees it.
std::vector<std::string> split_command(std::vector<std::string>& words) {
  auto dashes = std::find(words.begin(), words.end(), "--");
  if (dashes == words.end()) return {};
  std::vector<std::string> command(dashes + 1, words.end());
  words.erase(dashes, words.end());
  return command;
}

int run(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  bool has_dashes = std::find(words.begin(), words.end(), "--") != words.end();
  std::vector<std::string> command = split_command(words);

  CLI::App app{
      "Carries a ZFS send stream from one host to another: fast, encrypted, checked.\n"
      "  zfs send tank/vm@monday | zferry send backup.example:9443\n"
      "  zferry recv --listen :9443 -- zfs receive -s -u pool/vm",
      "zferry"};
  app.set_version_flag("--version", "zferry " ZFERRY_VERSION);
  app.require_subcommand(1);
  TransferOptions options;

  CLI::App* send = app.add_subcommand(
      "send", "read a stream (standard input, or of the command after --) and carry it to the target");
  add_shared(*send, options);
  send->add_option("--compress", options.compress, "auto, off, or a zstd level 1..12")->capture_default_str();
  send->add_option("--size", options.size, "the stream's size, for percentages (zfs send -nP tells)");
  send->add_option("--session", options.session_name,
                   "a name for what is not a ZFS stream, so that a second run is recognised");
  send->add_flag("--allow-empty", options.allow_empty, "an empty input is meant");

  CLI::App* recv =
      app.add_subcommand("recv", "take a stream and give it to standard output, a file, or the command after --");
  add_shared(*recv, options);
  recv->add_option("--out", options.out, "write to this file: it appears when it is complete");
  recv->add_option("--linger", options.linger, "how long to wait for the source to know of its success (60s)");

  CLI::App* key = app.add_subcommand("key", "make and show keys");
  key->require_subcommand(1);
  std::string key_out, key_file;
  CLI::App* key_gen =
      key->add_subcommand("gen", "a new private key on standard output; its public key on standard error");
  key_gen->add_option("--out", key_out, "a new file to write it to");
  CLI::App* key_secret = key->add_subcommand("secret", "a new secret for both ends of one session");
  key_secret->add_option("--out", key_out, "a new file to write it to");
  CLI::App* key_pub = key->add_subcommand("pub", "the public key of a private key on standard input, or in a file");
  key_pub->add_option("file", key_file, "the private key's file");

  CLI::App* inspect = app.add_subcommand("inspect", "say what a stream is and whether its checksums hold");
  std::string inspect_file;
  bool inspect_json = false;
  inspect->add_option("file", inspect_file, "the stream's file (default: standard input)");
  inspect->add_flag("--json", inspect_json, "one JSON object");

  try {
    std::reverse(words.begin(), words.end());  // CLI11 takes its words last first
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    bool json = std::find(words.begin(), words.end(), "--json") != words.end();
    return Console(json, false).end({Fault::kUsage, error.what(), "see zferry --help"});
  }
  bool transfers = send->parsed() || recv->parsed();
  if ((has_dashes && command.empty()) || (!command.empty() && !transfers) || !options.command.empty())
    return Console(options.json, options.quiet)
        .end({Fault::kUsage,
              options.command.empty() ? "a command belongs behind --, and only to send and recv"
                                      : "'" + escaped(options.command.front()) + "' is one word too many",
              "zferry send ADDRESS:PORT -- zfs send tank/vm@monday"});
  options.command = std::move(command);
  if (send->parsed()) return send_command(options);
  if (recv->parsed()) return recv_command(options);
  if (key_gen->parsed()) return key_gen_command(key_out);
  if (key_secret->parsed()) return key_secret_command(key_out);
  if (key_pub->parsed()) return key_pub_command(key_file);
  return inspect_command(inspect_file, inspect_json);
}

}  // namespace
}  // namespace zferry::cli

int main(int argc, char** argv) {
  prctl(PR_SET_DUMPABLE, 0);  // keys stay out of core dumps
  return zferry::cli::run(argc, argv);
}
