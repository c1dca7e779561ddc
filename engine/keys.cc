#include "keys.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <sstream>

#include "base/unique_fd.h"

namespace zferry {
namespace {

constexpr std::size_t kKeyFileBytesMax = 4096;
constexpr std::size_t kListBytesMax = 1 << 20;

// Of an open file: a regular one, of this user or root, and closed to others for `forbidden` (bits of its mode).
Status check_file(int fd, const std::string& path, mode_t forbidden, const char* done_by_others,
                  const char* right_mode) {
  struct stat facts {};
  if (fstat(fd, &facts) != 0) return errno_error(Fault::kConfig, "stat " + path, errno);
  if (!S_ISREG(facts.st_mode))
    return Error{Fault::kConfig, path + " is not a regular file", "give the file itself: ls -l " + path};
  if (facts.st_uid != geteuid() && facts.st_uid != 0)
    return Error{Fault::kConfig, path + " belongs to another user", "chown it to the user that runs zferry"};
  if ((facts.st_mode & forbidden) != 0)
    return Error{Fault::kConfig, path + " can be " + done_by_others + " by others",
                 std::string("chmod ") + right_mode + " " + path};
  return {};
}
// What is secret is read by its owner alone; what says who may come is written by its owner alone.
Status check_private(int fd, const std::string& path) { return check_file(fd, path, 077, "read or written", "600"); }
Status check_public(int fd, const std::string& path) { return check_file(fd, path, 022, "written", "644"); }
Status check_nothing(int fd, const std::string& path) { return check_file(fd, path, 0, "", ""); }

using Check = Status (*)(int fd, const std::string& path);
Result<std::string> read_file(const std::string& path, Check check, std::size_t bytes_max) {
  // Without blocking: what the path names may be a FIFO, which is refused below.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return errno_error(Fault::kConfig, "open " + path, errno);
  if (Status fine = check(fd.get(), path); !fine) return fine.take_error();
  std::string content(bytes_max + 1, '\0');
  std::size_t filled = 0;
  while (filled < content.size()) {
    ssize_t count = read(fd.get(), content.data() + filled, content.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(Fault::kConfig, "read " + path, errno);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  if (filled > bytes_max)
    return Error{Fault::kConfig, path + " is longer than such a file can be",
                 "see whether it is the right file: head -c 80 " + path};
  content.resize(filled);
  return content;
}

Result<std::string> read_private_file(const std::string& path) {
  return read_file(path, check_private, kKeyFileBytesMax);
}

Error in_file(const std::string& path, Error error, const std::string& next) {
  error.what = path + ": " + error.what;
  if (error.next.empty()) error.next = next;
  return error;
}

// `error` with what to do where the file is not there at all.
Error where_missing(const std::string& path, Error error, const std::string& next) {
  if (error.next.empty() && access(path.c_str(), F_OK) != 0 && errno == ENOENT) error.next = next;
  if (error.next.empty()) error.next = "check the path, and that this user may read it: ls -l " + path;
  return error;
}

// Those of `path` that are missing, for their owner alone.
Status make_folders_above(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1)) {
    std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0700) == 0 || errno == EEXIST) continue;
    const int why = errno;
    if (access(part.c_str(), F_OK) == 0) continue;  // some systems say EROFS or EACCES of a folder that is there
    Error error = errno_error(Fault::kConfig, "make the folder " + part, why);
    error.next = "make it yourself, or give another place with --out FILE";
    return error;
  }
  return {};
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
  auto content = read_file(path, check_public, kListBytesMax);
  if (!content) return content.take_error();
  std::istringstream file(*content);
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

Error in_line(const std::string& path, const Line& line, const std::string& what, const std::string& next) {
  return {Fault::kConfig, path + ", line " + std::to_string(line.number) + ": " + what, next};
}

constexpr const char* kPrivateKeyWanted = "give the file that `zferry key gen --out FILE` wrote";
constexpr const char* kPublicKeyWanted = "a public key is what `zferry key pub` prints on the other end";

}  // namespace

SecretBytes generate_key() { return SecretBytes::random(system_random()); }
std::string private_key_line(const SecretBytes& key) { return seal::private_key_text(key); }
std::string secret_line(const SecretBytes& secret) { return seal::secret_text(secret); }
std::string public_key_line(const PublicKey& key) { return seal::public_key_text(key); }
PublicKey public_half(const SecretBytes& private_key) { return seal::public_key(private_key); }
Result<PublicKey> parse_public_key_line(const std::string& text) { return seal::parse_public_key(text); }
Result<SecretBytes> parse_private_key_line(const std::string& text) {
  Result<SecretBytes> key = seal::parse_private_key(text);
  if (key) return key;
  return Error{Fault::kConfig, key.error().what, kPrivateKeyWanted};
}

Result<SecretBytes> read_private_key(const std::string& path) {
  Result<std::string> content = read_private_file(path);
  Result<std::string> any = content ? content : read_file(path, check_nothing, kKeyFileBytesMax);
  // Where others can read it because it is something else, a public key say, a chmod is no help.
  if (!content && !(any && any->find("zferry-private-") == any->npos))
    return where_missing(path, content.take_error(), "make a key with: zferry key gen --out " + path);
  Result<SecretBytes> key = seal::parse_private_key(*any);
  if (!key) return in_file(path, key.take_error(), kPrivateKeyWanted);
  return key;
}

Result<SecretBytes> read_secret(const std::string& path) {
  Result<std::string> content = read_private_file(path);
  if (!content)
    return where_missing(path, content.take_error(),
                         "make one with: zferry key secret --out " + path + ", and copy it to the other end");
  if (content->size() == seal::kKeyBytes && !content->starts_with("zferry-")) return SecretBytes(as_bytes(*content));
  Result<SecretBytes> secret = seal::parse_secret(*content);
  if (!secret) return in_file(path, secret.take_error(), "give the file that `zferry key secret --out FILE` wrote");
  return secret;
}

Status write_secret_file(const std::string& path, const std::string& line) {
  if (Status made = make_folders_above(path); !made) return made;
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) {
    const bool exists = errno == EEXIST;
    Error error = errno_error(Fault::kConfig, "create " + path, errno);
    error.next = exists ? "keep it, or give another --out: an existing file is never replaced"
                        : "give another place with --out FILE";
    return error;
  }
  Status written = write_all(fd.get(), line, path);
  if (written && fsync(fd.get()) != 0) written = errno_error(Fault::kConfig, "fsync " + path, errno);
  if (!written) unlink(path.c_str());  // half a key is none, and would be in the way of the next try
  return written;
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
  if (!lines)
    return where_missing(path, lines.take_error(),
                         "write into it the line that `zferry key pub` prints on the other end");
  std::vector<PublicKey> keys;
  for (const Line& line : *lines) {
    auto key = seal::parse_public_key(line.words.front());
    if (!key) return in_line(path, line, key.error().what, kPublicKeyWanted);
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
  if (!lines) return where_missing(path, lines.take_error(), {});
  std::vector<Peer> peers;
  for (const Line& line : *lines) {
    if (line.words.size() < 2 || line.words.size() > 3)
      return in_line(path, line, "expected: NAME PUBLIC-KEY [ADDRESS:PORT]", kPublicKeyWanted);
    auto key = seal::parse_public_key(line.words[1]);
    if (!key) return in_line(path, line, key.error().what, kPublicKeyWanted);
    peers.push_back({line.words[0], *key, line.words.size() == 3 ? line.words[2] : ""});
  }
  return peers;
}

}  // namespace zferry
