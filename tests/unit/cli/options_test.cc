// Options resolved to settings: what goes together and what does not, and whose key an address must have.
#include "options.h"

#include <functional>

#include "keys.h"
#include "preflight.h"
#include "unit/cli/folder.h"

namespace zferry::cli {
namespace {

using zferry::testing::Folder;
using Change = std::function<void(TransferOptions&)>;

class Options : public ::testing::Test {
 protected:
  Options() {
    folder.write("key", private_key_line(own) + "\n");
    folder.write("allow", public_key_line(peer) + "\n", 0644);
    folder.write("peers",
                 "backup " + public_key_line(peer) + " backup.example:9443\n" + "cellar " + public_key_line(other) +
                     "\n" + "named:77 " + public_key_line(other) + " elsewhere:78\n",
                 0644);
    folder.write("secret", secret_line(own) + "\n");
  }
  TransferOptions dialling(const std::string& address) const {
    TransferOptions options;
    options.address = address;
    options.config_folder = folder.path();
    return options;
  }
  TransferOptions listening() const {
    TransferOptions options = dialling("");
    options.listen = ":9443";
    return options;
  }
  static TransferOptions with(TransferOptions options, const Change& change) {
    change(options);
    return options;
  }
  static Fault fault_of(const TransferOptions& options) {
    auto source = source_settings(options);
    auto target = target_settings(options);
    EXPECT_EQ(source.ok(), target.ok());
    if (source) return Fault::kNone;
    EXPECT_EQ(source.error().fault, target ? Fault::kNone : target.error().fault);
    EXPECT_FALSE(source.error().what.empty());
    return source.error().fault;
  }

  Folder folder;
  SecretBytes own = generate_key();
  PublicKey peer = public_half(generate_key());
  PublicKey other = public_half(generate_key());
};

TEST_F(Options, ADiallerKnowsItsPeerByNameAddressOrKey) {
  struct Case {
    std::string address, option;
    PublicKey key;
    std::string host, port;
  };
  const Case cases[] = {{"backup", "", peer, "backup.example", "9443"},
                        {"cellar:9443", "", other, "cellar", "9443"},
                        {"backup:1234", "", peer, "backup.example", "1234"},
                        {"named:77", "", other, "elsewhere", "78"},
                        {"192.0.2.7:9443", "backup", peer, "192.0.2.7", "9443"},
                        {"[2001:db8::1]:9443", "cellar", other, "2001:db8::1", "9443"},
                        {"192.0.2.7:9443", public_key_line(other), other, "192.0.2.7", "9443"},
                        {"backup:1", public_key_line(other), other, "backup", "1"}};
  for (const Case& each : cases) {
    auto settings = source_settings(with(dialling(each.address), [&](auto& options) { options.peer = each.option; }));
    ASSERT_TRUE(settings.ok()) << each.address << ": " << settings.error().what;
    EXPECT_FALSE(settings->meeting.listen);
    ASSERT_TRUE(settings->meeting.credentials.peer) << each.address;
    EXPECT_EQ(*settings->meeting.credentials.peer, each.key) << each.address;
    EXPECT_EQ(settings->meeting.endpoint.host, each.host);
    EXPECT_EQ(settings->meeting.endpoint.port, each.port);
    ASSERT_TRUE(settings->meeting.credentials.own);
    EXPECT_EQ(public_half(*settings->meeting.credentials.own), public_half(own));
    EXPECT_TRUE(settings->meeting.credentials.allowed.empty());
    EXPECT_FALSE(settings->meeting.credentials.secret);
  }
}

TEST_F(Options, AListenerKnowsWhoMayCome) {
  auto settings = target_settings(listening());
  ASSERT_TRUE(settings.ok()) << settings.error().what;
  EXPECT_TRUE(settings->meeting.listen);
  EXPECT_EQ(settings->meeting.endpoint.port, "9443");
  EXPECT_EQ(settings->meeting.credentials.allowed, std::vector<PublicKey>{peer});
  EXPECT_FALSE(settings->meeting.credentials.peer);
  auto elsewhere = target_settings(with(
      listening(), [&](auto& options) { options.allow_file = folder.write("others", public_key_line(other) + "\n"); }));
  ASSERT_TRUE(elsewhere.ok());
  EXPECT_EQ(elsewhere->meeting.credentials.allowed, std::vector<PublicKey>{other});
}

TEST_F(Options, ASecretStandsAlone) {
  const std::string file = folder.path("secret");
  for (const TransferOptions& base : {dialling("unknown:1"), listening()}) {
    TransferOptions options = with(base, [&](auto& it) { it.secret_file = file; });
    auto settings = source_settings(options);
    ASSERT_TRUE(settings.ok()) << settings.error().what;
    EXPECT_TRUE(settings->meeting.credentials.secret);
    EXPECT_FALSE(settings->meeting.credentials.own || settings->meeting.credentials.peer);
    EXPECT_EQ(fault_of(with(options, [&](auto& it) { it.key_file = folder.path("key"); })), Fault::kUsage);
    EXPECT_EQ(fault_of(with(options, [&](auto& it) { it.peer = "backup"; })), Fault::kUsage);
    EXPECT_EQ(fault_of(with(options, [&](auto& it) { it.allow_file = folder.path("allow"); })), Fault::kUsage);
    EXPECT_EQ(fault_of(with(options, [&](auto& it) { it.secret_file = folder.path("missing"); })), Fault::kConfig);
  }
}

TEST_F(Options, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_EQ(fault_of(dialling("backup")), Fault::kNone);
  EXPECT_EQ(fault_of(listening()), Fault::kNone);
  const std::pair<const char*, TransferOptions> usage[] = {
      {"neither", dialling("")},
      {"both", with(listening(), [](auto& it) { it.address = "backup"; })},
      {"--peer and --listen", with(listening(), [](auto& it) { it.peer = "backup"; })},
      {"--allow and dialling", with(dialling("backup"), [&](auto& it) { it.allow_file = folder.path("allow"); })},
      {"unknown name", dialling("stranger:9443")},
      {"unknown --peer", with(dialling("backup"), [](auto& it) { it.peer = "stranger"; })},
      {"no port", dialling("cellar")},
      {"bad port", dialling("backup:99999999")},
      {"limit", with(dialling("backup"), [](auto& it) { it.limit = "fast"; })},
      {"low limit", with(dialling("backup"), [](auto& it) { it.limit = "999"; })},
      {"time-out", with(dialling("backup"), [](auto& it) { it.peer_timeout = "soon"; })},
      {"low time-out", with(dialling("backup"), [](auto& it) { it.peer_timeout = "100ms"; })}};
  for (const auto& [name, options] : usage) EXPECT_EQ(fault_of(options), Fault::kUsage) << name;
  EXPECT_EQ(fault_of(with(dialling("backup"), [&](auto& it) { it.config_folder = folder.path("none"); })),
            Fault::kConfig);
  EXPECT_EQ(fault_of(with(listening(), [&](auto& it) { it.allow_file = folder.path("none"); })), Fault::kConfig);
  folder.write("key", private_key_line(own) + "\n", 0644);
  EXPECT_EQ(fault_of(listening()), Fault::kConfig);
}

TEST_F(Options, OfASourceAlone) {
  for (const char* good : {"auto", "off", "1", "12"})
    EXPECT_TRUE(source_settings(with(dialling("backup"), [&](auto& it) { it.compress = good; })).ok()) << good;
  for (const char* bad : {"", "0", "13", "-1", "3x", "zstd", "9999999999999999999"}) {
    auto settings = source_settings(with(dialling("backup"), [&](auto& it) { it.compress = bad; }));
    ASSERT_FALSE(settings.ok()) << bad;
    EXPECT_EQ(settings.error().fault, Fault::kUsage);
  }
  auto full = source_settings(with(dialling("backup"), [](auto& it) {
    it.compress = "9";
    it.size = "2G";
    it.session_name = std::string(255, 'n');
    it.limit = "80Mbit";
    it.peer_timeout = "2s";
    it.command = {"zfs", "send"};
    it.allow_empty = true;
  }));
  ASSERT_TRUE(full.ok()) << full.error().what;
  EXPECT_EQ(full->pack.level, 9);
  EXPECT_EQ(full->pack.mode, pack::Mode::kAlways);
  EXPECT_EQ(full->size_hint_bytes, 2'000'000'000u);
  EXPECT_EQ(full->lane.rate_bytes_per_s, 10'000'000u);
  EXPECT_EQ(full->lane.silence_max, std::chrono::seconds(2));
  EXPECT_LE(full->lane.heartbeat_every * 4, full->lane.silence_max);
  EXPECT_EQ(full->producer, (std::vector<std::string>{"zfs", "send"}));
  EXPECT_TRUE(full->allow_empty);
  EXPECT_FALSE(
      source_settings(with(dialling("backup"), [](auto& it) { it.session_name = std::string(256, 'n'); })).ok());
  EXPECT_FALSE(source_settings(with(dialling("backup"), [](auto& it) { it.size = "big"; })).ok());
}

// Two ends say how long they wait without a link: a time, none at all, or for ever.
TEST_F(Options, PatienceOfBothEnds) {
  const std::pair<const char*, Duration> good[] = {{"90s", std::chrono::seconds(90)},
                                                   {"12h", std::chrono::hours(12)},
                                                   {"0s", Duration(0)},
                                                   {"0", Duration(0)},
                                                   {"never", pipeline::kForEver}};
  for (const auto& [text, time] : good) {
    auto source = source_settings(with(dialling("backup"), [&](auto& it) { it.give_up_after = text; }));
    auto target = target_settings(with(listening(), [&](auto& it) { it.hold = text; }));
    ASSERT_TRUE(source.ok() && target.ok()) << text;
    EXPECT_EQ(source->give_up_after, time) << text;
    EXPECT_EQ(target->hold, time) << text;
  }
  for (const char* bad : {"soon", "Never", "-1s", "5 weeks", "9999999999d"}) {
    auto source = source_settings(with(dialling("backup"), [&](auto& it) { it.give_up_after = bad; }));
    auto target = target_settings(with(listening(), [&](auto& it) { it.hold = bad; }));
    ASSERT_FALSE(source.ok() || target.ok()) << bad;
    EXPECT_EQ(source.error().fault, Fault::kUsage);
    EXPECT_EQ(target.error().fault, Fault::kUsage);
  }
  auto source = source_settings(with(dialling("backup"), [](auto& it) { it.lanes = 16; }));
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->lanes, 16u);
  EXPECT_EQ(source->give_up_after, limits::kGiveUpAfter) << "a night";
  EXPECT_FALSE(target_settings(listening())->hold) << "as the source wants it";
}

TEST_F(Options, OfATargetAlone) {
  auto both = target_settings(with(listening(), [](auto& it) {
    it.out = "file";
    it.command = {"zfs", "receive"};
  }));
  ASSERT_FALSE(both.ok());
  EXPECT_EQ(both.error().fault, Fault::kUsage);
  auto file = target_settings(with(listening(), [](auto& it) {
    it.out = "a/../file";
    it.linger = "5s";
  }));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->out_path, (std::filesystem::current_path() / "file").string()) << "one name for one file";
  EXPECT_EQ(file->linger, std::chrono::seconds(5));
  EXPECT_FALSE(target_settings(with(listening(), [](auto& it) { it.linger = "long"; })).ok());
}

TEST_F(Options, OfARun) {
  TransferOptions options;
  options.state_folder = "/somewhere";
  options.workers = 3;
  const std::pair<const char*, IoChoice> good[] = {{"auto", IoChoice::kAuto},
                                                   {"poll", IoChoice::kPoll},
                                                   {"uring", IoChoice::kUring},
                                                   {"io_uring", IoChoice::kUring}};
  for (const auto& [text, choice] : good) {
    options.io = text;
    auto run = run_settings(options);
    ASSERT_TRUE(run.ok()) << text;
    EXPECT_EQ(run->io, choice);
    EXPECT_EQ(run->state_folder, "/somewhere");
    EXPECT_EQ(run->workers, 3);
  }
  options.io = "epoll";
  auto bad = run_settings(options);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().fault, Fault::kUsage);
}

TEST_F(Options, WhatIsWrongComesWithWhatToDo) {
  const TransferOptions wrong[] = {with(dialling("backup"), [](auto& it) { it.compress = "13"; }),
                                   with(dialling("backup"), [](auto& it) { it.limit = "10Q"; }),
                                   with(dialling("backup"), [](auto& it) { it.limit = "999"; }),
                                   with(dialling("backup"), [](auto& it) { it.size = "10Q"; }),
                                   with(dialling("backup"), [](auto& it) { it.peer_timeout = "1s"; }),
                                   with(dialling("backup"), [&](auto& it) { it.key_file = folder.path("none"); }),
                                   with(dialling("backup"), [&](auto& it) { it.secret_file = folder.path("none"); }),
                                   with(listening(), [&](auto& it) { it.allow_file = folder.path("none"); })};
  for (const TransferOptions& options : wrong) {
    auto settings = source_settings(options);
    ASSERT_FALSE(settings.ok());
    EXPECT_FALSE(settings.error().next.empty()) << settings.error().what;
  }
  auto missing = source_settings(wrong[5]);
  EXPECT_NE(missing.error().next.find("key gen --out " + folder.path("none")), std::string::npos)
      << missing.error().next;
}

TEST(DefaultFolders, AreNamedByTheEnvironmentFirst) {
  ASSERT_EQ(setenv("ZFERRY_CONFIG", "/chosen/config", 1), 0);
  ASSERT_EQ(setenv("ZFERRY_STATE", "/chosen/state", 1), 0);
  EXPECT_EQ(default_config_folder(), "/chosen/config");
  EXPECT_EQ(default_state_folder(), "/chosen/state");
  unsetenv("ZFERRY_CONFIG");
  unsetenv("ZFERRY_STATE");
  EXPECT_TRUE(default_config_folder().ends_with("zferry"));
  EXPECT_NE(default_config_folder(), default_state_folder());
}

TEST_F(Options, ACommandThatIsNotThereIsFoundBeforeAnybodyIsMet) {
  auto fault = [](const TransferOptions& options) {
    Status ready = target_ready(options);
    EXPECT_TRUE(ready || !ready.error().next.empty());
    return ready ? Fault::kNone : ready.error().fault;
  };
  const std::string script = folder.write("script", "#!/bin/sh\n", 0700);
  const std::string plain = folder.write("plain", "");
  const std::pair<std::string, Fault> commands[] = {{"sh", Fault::kNone},
                                                    {"/bin/sh", Fault::kNone},
                                                    {script, Fault::kNone},
                                                    {plain, Fault::kCannotRun},
                                                    {folder.path(), Fault::kCannotRun},
                                                    {folder.path("none"), Fault::kCannotRun},
                                                    {"no-such-command-anywhere", Fault::kCannotRun},
                                                    {"", Fault::kCannotRun}};
  for (const auto& [name, expected] : commands) {
    TransferOptions options = with(listening(), [&](auto& it) { it.command = {name, "receive"}; });
    EXPECT_EQ(fault(options), expected) << name;
    Status source = source_ready(options);
    EXPECT_EQ(source.ok(), expected == Fault::kNone) << name;
  }
  EXPECT_EQ(fault(with(listening(), [&](auto& it) { it.out = folder.path("out"); })), Fault::kNone);
  EXPECT_EQ(fault(with(listening(), [&](auto& it) { it.out = "out"; })), Fault::kNone);
  EXPECT_EQ(fault(with(listening(), [&](auto& it) { it.out = folder.path("none/out"); })), Fault::kOutputFailed);
  EXPECT_EQ(fault(with(listening(), [&](auto& it) { it.out = plain + "/out"; })), Fault::kOutputFailed);
}

}  // namespace
}  // namespace zferry::cli
