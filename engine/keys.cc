#include "keys.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/unique_fd.h"

namespace zferry {
namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;

Status check_private(int fd, const std::string& path) {
  struct stat facts {};
  if (fstat(fd, &facts) != 0) return errno_error(Fault::kConfig, "stat " + path, errno);
  if (!S_ISREG(facts.st_mode)) return Error{Fault::kConfig, path + " is not a regular file", {}};
  if (facts.st_uid != geteuid() && facts.st_uid != 0)
    return Error{Fault::kConfig, path + " belongs to another user", "chown it to the user that runs zferry"};
  if ((facts.st_mode & 077) != 0)
    return Error{Fault::kConfig, path + " can be read or written by others", "chmod 600 " + path};
  return {};
}

Result<std::string> read_private_file(const std::string& path) {
  // Without blocking: what the path names may be a FIFO, which is refused below.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return errno_error(Fault::kConfig, "open " + path, errno);
  if (Status fine = check_private(fd.get(), path); !fine) return fine.take_error();
  std::string content(kKeyFileBytesMax, '\0');
  ssize_t count = read(fd.get(), content.data(), content.size());
  if (count < 0) return errno_error(Fault::kConfig, "read " + path, errno);
  content.resize(static_cast<std::size_t>(count));
  return content;
}

Error in_file(const std::string& path, Error error) {
  error.what = path + ": " + error.what;
  return error;
}

Status write_all(int fd, const std::string& line, const std::string& where) {
  std::string text = line + "\n";
  for (std::size_t done = 0; done < text.size();) {
    ssize_t count = write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(Fault::kConfig, "write " + where, errno);
    done += static_cast<std::size_t>(count);
  }
  return {};
}

// The words of each line that has any, with its number. Missing file: an error of errno's words.
struct Line {
  int number;
  std::vector<std::string> words;
};
Result<std::vector<Line>> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) return errno_error(Fault::kConfig, "open " + path, errno);
  std::vector<Line> lines;
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    std::istringstream stream(text.substr(0, text.find('#')));
    Line line{number, {}};
    for (std::string word; stream >> word;) line.words.push_back(word);
    if (!line.words.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

Error in_line(const std::string& path, const Line& line, const std::string& what) {
  return {Fault::kConfig, path + ", line " + std::to_string(line.number) + ": " + what, {}};
}

}  // namespace

SecretBytes generate_key() { return SecretBytes::random(system_random()); }
std::string private_key_line(const SecretBytes& key) { return seal::private_key_text(key); }
std::string secret_line(const SecretBytes& secret) { return seal::secret_text(secret); }
std::string public_key_line(const PublicKey& key) { return seal::public_key_text(key); }
PublicKey public_half(const SecretBytes& private_key) { return seal::public_key(private_key); }
Result<PublicKey> parse_public_key_line(const std::string& text) { return seal::parse_public_key(text); }
Result<SecretBytes> parse_private_key_line(const std::string& text) { return seal::parse_private_key(text); }

Result<SecretBytes> read_private_key(const std::string& path) {
  Result<std::string> content = read_private_file(path);
  if (!content) return content.take_error();
  Result<SecretBytes> key = seal::parse_private_key(*content);
  if (!key) return in_file(path, key.take_error());
  return key;
}

Result<SecretBytes> read_secret(const std::string& path) {
  Result<std::string> content = read_private_file(path);
  if (!content) return content.take_error();
  if (content->size() == seal::kKeyBytes) return SecretBytes(as_bytes(*content));
  Result<SecretBytes> secret = seal::parse_secret(*content);
  if (!secret) return in_file(path, secret.take_error());
  return secret;
}

Status write_secret_file(const std::string& path, const std::string& line) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return errno_error(Fault::kConfig, "create " + path, errno);
  if (Status written = write_all(fd.get(), line, path); !written) return written;
  if (fsync(fd.get()) != 0) return errno_error(Fault::kConfig, "fsync " + path, errno);
  return {};
}

Status write_secret_to_output(const std::string& line) {
  struct stat facts {};
  if (fstat(STDOUT_FILENO, &facts) != 0) return errno_error(Fault::kConfig, "standard output", errno);
  if (S_ISREG(facts.st_mode)) {
    bool fresh = facts.st_size == 0 && facts.st_uid == geteuid();
    if (fresh && fchmod(STDOUT_FILENO, 0600) != 0)
      return errno_error(Fault::kConfig, "chmod 600 standard output", errno);
    if (!fresh && (facts.st_mode & 077) != 0)
      return Error{Fault::kConfig, "standard output is a file that others can read",
                   "write to a new file, or use --out FILE"};
  }
  return write_all(STDOUT_FILENO, line, "standard output");
}

Result<std::vector<PublicKey>> read_allowed(const std::string& path) {
  auto lines = read_lines(path);
  if (!lines) return lines.take_error();
  std::vector<PublicKey> keys;
  for (const Line& line : *lines) {
    auto key = seal::parse_public_key(line.words.front());
    if (!key) return in_line(path, line, key.error().what);
    keys.push_back(*key);
  }
  if (keys.empty())
    return Error{Fault::kConfig, path + " holds no public key",
                 "add the line that `zferry key pub` prints on the other end"};
  return keys;
}

Result<std::vector<Peer>> read_peers(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return std::vector<Peer>{};
  auto lines = read_lines(path);
  if (!lines) return lines.take_error();
  std::vector<Peer> peers;
  for (const Line& line : *lines) {
    if (line.words.size() < 2 || line.words.size() > 3)
      return in_line(path, line, "expected: NAME PUBLIC-KEY [ADDRESS:PORT]");
    auto key = seal::parse_public_key(line.words[1]);
    if (!key) return in_line(path, line, key.error().what);
    peers.push_back({line.words[0], *key, line.words.size() == 3 ? line.words[2] : ""});
  }
  return peers;
}

}  // namespace zferry
