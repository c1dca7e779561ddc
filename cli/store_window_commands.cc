// store import and stats: what a store finds again, filled ahead and told.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "store.h"
#include "store_text.h"

namespace zferry::cli {
namespace {

std::string text_of(const std::string& folder, const StoreImport& done) {
  return fmt::format("{}: {} read: {}, {} of them new ({}); {} used, {} of it kept to be found again\n",
                     escaped(folder, 4096), human(done.stream_bytes), counted(done.chunks, "chunk"), done.new_chunks,
                     human(done.new_bytes), human(done.used_bytes), human(done.window_bytes));
}

std::string json_of(const std::string& folder, const StoreImport& done) {
  return json_line({{"type", "store-import"},
                    {"folder", escaped(folder, 4096)},
                    {"stream_bytes", done.stream_bytes},
                    {"chunks", done.chunks},
                    {"new_chunks", done.new_chunks},
                    {"new_bytes", done.new_bytes},
                    {"dropped_chunks", done.dropped_chunks},
                    {"used_bytes", done.used_bytes},
                    {"window_bytes", done.window_bytes}});
}

// What stopped an import, with what is there for all that. Importing again costs no disk: what is there is passed over.
Error stopped(Error error, const StoreImport& done) {
  if (done.dropped_chunks > 0)
    error.what += "; the rest is kept";
  else if (done.stream_bytes > 0 && error.fault != Fault::kStoreFailed)
    error.what += fmt::format("; what came before that is kept ({} of it new)", human(done.new_bytes));
  switch (error.fault) {
    case Fault::kStoreFull:
      if (error.next.empty())
        error.next = "give it more capacity (zferry store import FOLDER:CAPACITY), and import the stream again";
      break;
    case Fault::kStreamDamaged: error.next = "send it to the import again from the snapshot, and check its pool"; break;
    case Fault::kStreamIncomplete: error.next = "see what the command before the pipe said, and import it again"; break;
    case Fault::kInputFailed: error.next = "see why the input cannot be read, and import it again"; break;
    default: break;
  }
  return error;
}

double percent_found(const store::Savings& savings) {
  return savings.looked_bytes == 0
             ? 0
             : 100 * static_cast<double>(savings.found_bytes) / static_cast<double>(savings.looked_bytes);
}

std::string text_of(const std::string& folder, const StoreContents& contents) {
  const store::Savings& savings = contents.savings;
  std::string text = fmt::format("{}: {}, {} used; kept to be found again: {} in {}\n", escaped(folder, 4096),
                                 counted(contents.sessions.size(), "session"), human(contents.used_bytes),
                                 human(contents.window_bytes), counted(contents.window_segments, "segment"));
  if (savings.looked_bytes == 0)
    return text + "nothing was looked for in it yet, as far as an ended session has told\n";
  text += fmt::format("looked for: {}; found, and not sent: {} ({:.1f} %)", human(savings.looked_bytes),
                      human(savings.found_bytes), percent_found(savings));
  if (savings.sessions > 0) text += ", in " + counted(savings.sessions, "session");
  return text + "\n";
}

std::string json_of(const std::string& folder, const StoreContents& contents) {
  return json_line({{"type", "store-stats"},
                    {"folder", escaped(folder, 4096)},
                    {"sessions", contents.sessions.size()},
                    {"used_bytes", contents.used_bytes},
                    {"window_segments", contents.window_segments},
                    {"window_bytes", contents.window_bytes},
                    {"looked_bytes", contents.savings.looked_bytes},
                    {"found_bytes", contents.savings.found_bytes},
                    {"found_percent", percent_found(contents.savings)},
                    {"asking_sessions", contents.savings.sessions}});
}

}  // namespace

int store_import_command(const StoreOptions& typed) {
  StoreOptions options = typed;
  Console console(options.json, false);
  auto choice = store_in(options.folder, escaped(options.folder, 4096));
  if (!choice) return console.end(choice.error());
  options.folder = choice->folder;
  auto place = store_place(options);
  if (!place) return console.end(place.error());
  auto settings = import_settings(options, *choice);
  if (!settings) return console.end(settings.error());
  if (isatty(STDIN_FILENO) == 1)
    return console.end({Fault::kUsage, "standard input is a terminal: no stream comes from there",
                        "zfs send -w tank/vm@monday | zferry store import FOLDER"});
  StoreImport done;
  Status status = import_stream(*place, *settings, STDIN_FILENO, done);
  if (status && done.stream_bytes == 0) status = Error{Fault::kStreamIncomplete, "the input is empty", {}};
  Status printed;
  if (done.stream_bytes > 0)
    printed = print_output(options.json ? json_of(place->folder, done) : text_of(place->folder, done));
  if (!status) return console.end(stopped(status.take_error(), done));
  return printed ? 0 : console.end(printed.error());
}

int store_stats_command(const StoreOptions& typed) {
  StoreOptions options = typed;
  Console console(options.json, false);
  auto place = store_place(options);
  if (!place) return console.end(place.error());
  auto contents = store_contents(*place);
  if (!contents) return console.end(contents.error());
  Status printed = print_output(options.json ? json_of(place->folder, *contents) : text_of(place->folder, *contents));
  return printed ? 0 : console.end(printed.error());
}

}  // namespace zferry::cli
