// The façade for keys: the files that hold them, and what is allowed to hold one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "seal/keys.h"

namespace zferry {

using seal::PublicKey;
using seal::SecretBytes;

SecretBytes generate_key();
std::string private_key_line(const SecretBytes& key);
std::string secret_line(const SecretBytes& secret);
std::string public_key_line(const PublicKey& key);
PublicKey public_half(const SecretBytes& private_key);
Result<PublicKey> parse_public_key_line(const std::string& text);
Result<SecretBytes> parse_private_key_line(const std::string& text);

// A private key or a secret from a file that nobody else can read: owner and mode are checked on the open descriptor. A
// secret's file may also hold 32 bytes as they are. Errors: kConfig.
Result<SecretBytes> read_private_key(const std::string& path);
Result<SecretBytes> read_secret(const std::string& path);

// Writes a line that is secret to a new file (0600; an existing one is never replaced; missing folders are made, 0700),
// or to standard output: a fresh regular file of one's own is made 0600 first, one that others can read is refused.
// Errors: kConfig.
Status write_secret_file(const std::string& path, const std::string& line);
Status write_secret_to_output(const std::string& line);

// Public keys, one a line; "#" starts a comment, words behind a key are a name for it. Errors: kConfig, with the line's
// number.
Result<std::vector<PublicKey>> read_allowed(const std::string& path);

// "NAME PUBLIC-KEY [ADDRESS:PORT]" a line.
struct Peer {
  std::string name;
  PublicKey key;
  std::string address;  // empty: the name is the address
};
// No file: no peers. Errors: kConfig, with the line's number.
Result<std::vector<Peer>> read_peers(const std::string& path);

}  // namespace zferry
