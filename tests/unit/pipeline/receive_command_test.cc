// What a consumer's argv says, where it is `zfs receive`, and what is asked of ZFS because of it.
#include "pipeline/receive_command.h"

#include <gtest/gtest.h>

namespace zferry::pipeline {
namespace {

constexpr char kName[] = "tank/a/b@monday";

std::string line(const Argv& argv) {
  std::string text;
  for (const std::string& word : argv) text += (text.empty() ? "" : " ") + word;
  return text;
}

TEST(ReceiveCommand, IsReadFromTheConsumersArgv) {
  struct Case {
    Argv argv;
    bool keeps;
    std::string dataset;
    std::string ask_guid;
  };
  const Case cases[] = {
      {{"zfs", "receive", "-s", "-u", "pool/vm"}, true, "pool/vm", "zfs get -H -p -o value guid pool/vm@monday"},
      {{"zfs", "recv", "-usF", "pool/vm"}, true, "pool/vm", "zfs get -H -p -o value guid pool/vm@monday"},
      {{"zfs", "receive", "pool/vm"}, false, "pool/vm", "zfs get -H -p -o value guid pool/vm@monday"},
      {{"zfs", "receive", "-s", "pool/vm@other"}, true, "pool/vm", "zfs get -H -p -o value guid pool/vm@other"},
      {{"/usr/sbin/zfs", "recv", "-s", "-d", "pool"},
       true,
       "pool/a/b",
       "/usr/sbin/zfs get -H -p -o value guid pool/a/b@monday"},
      {{"zfs", "recv", "-se", "pool"}, true, "pool/b", "zfs get -H -p -o value guid pool/b@monday"},
      {{"zfs", "recv", "-o", "setuid=off", "-x", "mountpoint", "-s", "pool/vm"},
       true,
       "pool/vm",
       "zfs get -H -p -o value guid pool/vm@monday"},
      {{"zfs", "recv", "-oexec=off", "pool/s"}, false, "pool/s", "zfs get -H -p -o value guid pool/s@monday"},
      {{"sudo", "-n", "zfs", "receive", "-s", "pool/vm"},
       true,
       "pool/vm",
       "sudo -n zfs get -H -p -o value guid pool/vm@monday"},
  };
  for (const Case& c : cases) {
    auto command = ReceiveCommand::parse(c.argv);
    ASSERT_TRUE(command) << line(c.argv);
    EXPECT_EQ(command->keeps_what_is_cut(), c.keeps) << line(c.argv);
    EXPECT_EQ(command->dataset_of(kName), c.dataset) << line(c.argv);
    EXPECT_EQ(line(command->ask_guid(kName)), c.ask_guid);
  }
}

TEST(ReceiveCommand, OtherCommandsAreNone) {
  const Argv others[] = {{"cat"},
                         {"sh", "-c", "zfs receive pool/vm"},
                         {"zfs", "list", "pool"},
                         {"zfs", "receive"},
                         {"zfs", "receive", "-n", "pool/vm"},
                         {"zfs", "receive", "-A", "pool/vm"},
                         {"receive", "pool/vm"},
                         {}};
  for (const Argv& argv : others) EXPECT_FALSE(ReceiveCommand::parse(argv)) << line(argv);
}

TEST(ReceiveCommand, AsksWhereTheStreamGoes) {
  auto command = ReceiveCommand::parse({"sudo", "zfs", "receive", "-s", "-d", "pool/copies"});
  ASSERT_TRUE(command);
  EXPECT_EQ(line(command->ask_token(kName)), "sudo zfs get -H -o value receive_resume_token pool/copies/a/b");
  EXPECT_EQ(command->give_up_command(kName), "sudo zfs receive -A pool/copies/a/b");
  EXPECT_EQ(line(command->ask_guids_below(kName)), "sudo zfs get -H -p -r -o name,value guid pool/copies/a/b");
  EXPECT_EQ(line(command->ask_tokens_below("nightly")),
            "sudo zfs get -H -p -r -o name,value receive_resume_token pool/copies");
  EXPECT_EQ(line(command->sync_pool(kName)), "sudo zpool sync pool");
  auto placed = ReceiveCommand::parse({"/usr/sbin/zfs", "recv", "-s", "pool"});
  ASSERT_TRUE(placed);
  EXPECT_EQ(line(placed->sync_pool(kName)), "/usr/sbin/zpool sync pool");
  EXPECT_EQ(command->dataset_of("tank@monday"), "pool/copies");
  ReceiveCommand told = ReceiveCommand::of_dataset("pool/vm");
  EXPECT_TRUE(told.keeps_what_is_cut());
  EXPECT_EQ(line(told.ask_token(kName)), "zfs get -H -o value receive_resume_token pool/vm");
}

}  // namespace
}  // namespace zferry::pipeline
