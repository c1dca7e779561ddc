// The façade for keys: who may read a file that holds one, what such files look like, and errors that name the place.
#include "keys.h"

#include <algorithm>

#include "unit/cli/folder.h"

namespace zferry {
namespace {

using testing::Folder;

bool same(const SecretBytes& one, const SecretBytes& other) { return std::ranges::equal(one.bytes(), other.bytes()); }

TEST(Keys, APrivateKeyGoesToAFileAndBack) {
  Folder folder;
  SecretBytes key = generate_key();
  ASSERT_TRUE(write_secret_file(folder.path("key"), private_key_line(key)).ok());
  struct stat facts {};
  ASSERT_EQ(stat(folder.path("key").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  auto back = read_private_key(folder.path("key"));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_TRUE(same(*back, key));
  EXPECT_EQ(public_half(*back), public_half(key));
  EXPECT_FALSE(same(generate_key(), key));
  Status again = write_secret_file(folder.path("key"), private_key_line(generate_key()));
  ASSERT_FALSE(again.ok()) << "an existing file is never replaced";
  EXPECT_EQ(again.error().fault, Fault::kConfig);
  EXPECT_TRUE(same(*read_private_key(folder.path("key")), key));
}

TEST(Keys, WhatOthersCanTouchIsRefused) {
  Folder folder;
  const std::string line = private_key_line(generate_key()) + "\n";
  const std::string secret = secret_line(generate_key()) + "\n";
  for (mode_t mode : {0600, 0400, 0700}) {
    EXPECT_TRUE(read_private_key(folder.write("key", line, mode)).ok()) << mode;
    EXPECT_TRUE(read_secret(folder.write("secret", secret, mode)).ok()) << mode;
    chmod(folder.path("key").c_str(), 0600);
    chmod(folder.path("secret").c_str(), 0600);
  }
  int refused = 0;
  for (mode_t mode : {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666, 0777}) {
    auto key = read_private_key(folder.write("key", line, mode));
    auto other = read_secret(folder.write("secret", secret, mode));
    ASSERT_FALSE(key.ok() || other.ok()) << mode;
    EXPECT_EQ(key.error().fault, Fault::kConfig);
    EXPECT_NE(key.error().what.find(folder.path("key")), std::string::npos);
    EXPECT_NE(key.error().next.find("chmod 600"), std::string::npos);
    EXPECT_EQ(other.error().fault, Fault::kConfig);
    ++refused;
  }
  EXPECT_EQ(refused, 9);
}

TEST(Keys, AnotherFileThanAKeysIsNoMatterOfModes) {
  Folder folder;
  for (const std::string& content : {public_key_line(public_half(generate_key())) + "\n", std::string("a letter\n")}) {
    auto key = read_private_key(folder.write("other", content, 0644));
    ASSERT_FALSE(key.ok());
    EXPECT_EQ(key.error().fault, Fault::kConfig);
    EXPECT_EQ(key.error().next.find("chmod"), std::string::npos) << key.error().next;
    EXPECT_NE(key.error().what.find("zferry-private-"), std::string::npos) << key.error().what;
  }
}

TEST(Keys, MissingFoldersAreMadeForTheirOwnerAlone) {
  Folder folder;
  ASSERT_TRUE(write_secret_file(folder.path("a/b/key"), private_key_line(generate_key())).ok());
  for (const char* name : {"a", "a/b"}) {
    struct stat facts {};
    ASSERT_EQ(stat(folder.path(name).c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0700u) << name;
  }
  EXPECT_TRUE(read_private_key(folder.path("a/b/key")).ok());
  Status below_a_file = write_secret_file(folder.path("a/b/key/key"), private_key_line(generate_key()));
  ASSERT_FALSE(below_a_file.ok());
  EXPECT_FALSE(below_a_file.error().next.empty());
}

TEST(Keys, WhatIsNoFileIsRefusedAtOnce) {
  Folder folder;
  std::filesystem::create_directory(folder.path("folder"));
  ASSERT_EQ(chmod(folder.path("folder").c_str(), 0700), 0);
  ASSERT_EQ(mkfifo(folder.path("fifo").c_str(), 0600), 0);
  for (const char* name : {"folder", "fifo", "missing"}) {
    auto key = read_private_key(folder.path(name));
    ASSERT_FALSE(key.ok()) << name;
    EXPECT_EQ(key.error().fault, Fault::kConfig) << name;
    EXPECT_NE(key.error().what.find(name), std::string::npos) << key.error().what;
    EXPECT_FALSE(read_secret(folder.path(name)).ok());
  }
  EXPECT_FALSE(read_private_key("/dev/null").ok());
}

TEST(Keys, WhatIsNoKeyIsRefusedWithoutBeingShown) {
  Folder folder;
  SecretBytes key = generate_key();
  std::string line = private_key_line(key);
  std::string cut = line.substr(0, line.size() - 1);
  std::string changed = line;
  changed.back() = changed.back() == 'A' ? 'B' : 'A';
  for (const std::string& content : {std::string(), cut, changed, secret_line(key), public_key_line(public_half(key)),
                                     line + line, std::string(10'000, 'x')}) {
    auto read = read_private_key(folder.write("key", content));
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().fault, Fault::kConfig);
    EXPECT_NE(read.error().what.find(folder.path("key")), std::string::npos);
    std::string body = line.substr(std::string("zferry-private-").size(), 20);  // which may hold a '-' itself
    EXPECT_EQ((read.error().what + read.error().next).find(body), std::string::npos);
  }
  EXPECT_TRUE(read_private_key(folder.write("key", "  " + line + " \r\n\n")).ok()) << "space around it is ignored";
}

TEST(Keys, ASecretIsALineOrThirtyTwoBytes) {
  Folder folder;
  SecretBytes secret = generate_key();
  auto as_line = read_secret(folder.write("secret", secret_line(secret) + "\n"));
  ASSERT_TRUE(as_line.ok());
  EXPECT_TRUE(same(*as_line, secret));
  std::string raw(as_text(secret.bytes()));
  raw[31] = '\n';  // any bytes at all
  auto as_bytes_are = read_secret(folder.write("secret", raw));
  ASSERT_TRUE(as_bytes_are.ok());
  EXPECT_EQ(as_text(as_bytes_are->bytes()), raw);
  for (std::size_t bytes : {0, 1, 31, 33, 64}) {
    auto read = read_secret(folder.write("secret", std::string(bytes, 'k')));
    ASSERT_FALSE(read.ok()) << bytes;
    EXPECT_EQ(read.error().fault, Fault::kConfig);
  }
}

TEST(Keys, TheAllowListHasCommentsAndNames) {
  Folder folder;
  PublicKey one = public_half(generate_key());
  PublicKey other = public_half(generate_key());
  auto allowed = read_allowed(folder.write("allow",
                                           "# who may come\n\n" + public_key_line(one) + " backup host, cellar\r\n  " +
                                               public_key_line(other) + "# no space before\n   \n",
                                           0644));
  ASSERT_TRUE(allowed.ok()) << allowed.error().what;
  EXPECT_EQ(*allowed, (std::vector<PublicKey>{one, other}));
  auto bad = read_allowed(folder.write("allow", public_key_line(one) + "\n# fine\nzferry-public-nonsense\n"));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().fault, Fault::kConfig);
  EXPECT_NE(bad.error().what.find("line 3"), std::string::npos) << bad.error().what;
  for (const char* content : {"", "# nobody\n"}) {
    auto empty = read_allowed(folder.write("allow", content));
    ASSERT_FALSE(empty.ok()) << "a list of nobody is a mistake";
    EXPECT_EQ(empty.error().fault, Fault::kConfig);
  }
  EXPECT_FALSE(read_allowed(folder.path("missing")).ok());
  EXPECT_FALSE(read_allowed(folder.path()).ok());
}

TEST(Keys, ThePeersFileHasNamesKeysAndAddresses) {
  Folder folder;
  PublicKey one = public_half(generate_key());
  PublicKey other = public_half(generate_key());
  auto none = read_peers(folder.path("missing"));
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
  auto peers =
      read_peers(folder.write("peers", "# peers\nbackup " + public_key_line(one) + " [2001:db8::1]:9443 # v6\n" +
                                           "cellar.example\t" + public_key_line(other) + "\n"));
  ASSERT_TRUE(peers.ok()) << peers.error().what;
  ASSERT_EQ(peers->size(), 2u);
  EXPECT_EQ((*peers)[0].name, "backup");
  EXPECT_EQ((*peers)[0].key, one);
  EXPECT_EQ((*peers)[0].address, "[2001:db8::1]:9443");
  EXPECT_EQ((*peers)[1].name, "cellar.example");
  EXPECT_EQ((*peers)[1].key, other);
  EXPECT_EQ((*peers)[1].address, "");
  const std::string good = "backup " + public_key_line(one) + "\n";
  for (const std::string& line : {std::string("alone"), "backup " + public_key_line(one) + " a:1 too-much",
                                  std::string("backup zferry-public-nonsense"), public_key_line(one) + " backup"}) {
    auto bad = read_peers(folder.write("peers", good + "\n" + line + "\n"));
    ASSERT_FALSE(bad.ok()) << line;
    EXPECT_EQ(bad.error().fault, Fault::kConfig);
    EXPECT_NE(bad.error().what.find("line 3"), std::string::npos) << bad.error().what;
  }
}

}  // namespace
}  // namespace zferry
