#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>

#include "commands.h"
#include "console.h"
#include "keys.h"

namespace zferry::cli {
namespace {

int fail(const Error& error) { return Console(false, false).end(error); }

Status write_out(const std::string& out, const std::string& line) {
  return out.empty() ? write_secret_to_output(line) : write_secret_file(out, line);
}

}  // namespace

int key_gen_command(const std::string& out) {
  SecretBytes key = generate_key();
  if (Status written = write_out(out, private_key_line(key)); !written) return fail(written.error());
  fmt::print(stderr, "{}\n", public_key_line(public_half(key)));
  return 0;
}

int key_secret_command(const std::string& out) {
  SecretBytes secret = generate_key();
  if (Status written = write_out(out, secret_line(secret)); !written) return fail(written.error());
  return 0;
}

int key_pub_command(const std::string& file) {
  Result<SecretBytes> key = file.empty()
                                ? parse_private_key_line(std::string(std::istreambuf_iterator<char>(std::cin), {}))
                                : read_private_key(file);
  if (!key) return fail(key.error());
  Status printed = print_output(public_key_line(public_half(*key)) + "\n");
  return printed ? 0 : fail(printed.error());
}

}  // namespace zferry::cli
