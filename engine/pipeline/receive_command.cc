#include "pipeline/receive_command.h"

#include <algorithm>

namespace zferry::pipeline {
namespace {

std::string after_last(const std::string& text, char mark) { return text.substr(text.rfind(mark) + 1); }

// The part of "pool/a/b@snapshot" before and after the '@'; all of it and nothing where there is none.
std::string before_at(const std::string& name) { return name.substr(0, name.find('@')); }
std::string from_at(const std::string& name) {
  std::size_t at = name.find('@');
  return at == std::string::npos ? "" : name.substr(at);
}

bool takes_a_value(char option) { return option == 'o' || option == 'x'; }

}  // namespace

std::optional<ReceiveCommand> ReceiveCommand::parse(const Argv& consumer) {
  auto is_verb = [](const std::string& word) { return word == "receive" || word == "recv"; };
  std::size_t verb = 1;
  while (verb < consumer.size() && !(is_verb(consumer[verb]) && after_last(consumer[verb - 1], '/') == "zfs")) ++verb;
  if (verb >= consumer.size()) return std::nullopt;
  ReceiveCommand command;
  command.prefix_.assign(consumer.begin(), consumer.begin() + static_cast<std::ptrdiff_t>(verb));
  std::string name;
  for (std::size_t i = verb + 1; i < consumer.size(); ++i) {
    const std::string& word = consumer[i];
    if (word.size() < 2 || word[0] != '-') {
      name = word;
      continue;
    }
    for (std::size_t at = 1; at < word.size(); ++at) {
      if (word[at] == 's') command.keeps_ = true;
      if (word[at] == 'd') command.naming_ = Naming::kWithoutPool;
      if (word[at] == 'e') command.naming_ = Naming::kLastPart;
      if (word[at] == 'n' || word[at] == 'A') return std::nullopt;  // receives nothing
      if (!takes_a_value(word[at])) continue;
      if (at + 1 == word.size()) ++i;
      break;
    }
  }
  if (name.empty()) return std::nullopt;
  command.dataset_ = before_at(name);
  command.snapshot_ = from_at(name);
  return command;
}

ReceiveCommand ReceiveCommand::of_dataset(const std::string& dataset) {
  ReceiveCommand command;
  command.dataset_ = dataset;
  command.keeps_ = true;
  return command;
}

std::string ReceiveCommand::dataset_of(const std::string& toname) const {
  std::string sent = before_at(toname);
  switch (naming_) {
    case Naming::kAsTold: return dataset_;
    case Naming::kWithoutPool: {
      std::size_t slash = sent.find('/');
      return slash == std::string::npos ? dataset_ : dataset_ + sent.substr(slash);
    }
    case Naming::kLastPart: return dataset_ + "/" + after_last(sent, '/');
  }
  return dataset_;
}

Argv ReceiveCommand::ask_token(const std::string& toname) const {
  Argv argv = prefix_;
  for (const char* word : {"get", "-H", "-o", "value", "receive_resume_token"}) argv.emplace_back(word);
  argv.push_back(dataset_of(toname));
  return argv;
}

// In words that zfs-fuse knows as well. Datasets and bookmarks are listed too: names tell.
Argv ReceiveCommand::ask_below(const std::string& toname, const std::string& property) const {
  Argv argv = prefix_;
  for (const char* word : {"get", "-H", "-p", "-r", "-o", "name,value"}) argv.emplace_back(word);
  argv.push_back(property);
  // A session's name in place of the stream's says nothing of the sender's.
  argv.push_back(from_at(toname).empty() ? dataset_ : dataset_of(toname));
  return argv;
}

Argv ReceiveCommand::ask_tokens_below(const std::string& toname) const {
  return ask_below(toname, "receive_resume_token");
}
Argv ReceiveCommand::ask_guids_below(const std::string& toname) const { return ask_below(toname, "guid"); }

Argv ReceiveCommand::sync_pool(const std::string& toname) const {
  Argv argv = prefix_;
  argv.back().replace(argv.back().size() - 3, 3, "zpool");
  argv.emplace_back("sync");
  std::string dataset = dataset_of(toname);
  argv.push_back(dataset.substr(0, dataset.find('/')));
  return argv;
}

Argv ReceiveCommand::ask_guid(const std::string& toname) const {
  Argv argv = prefix_;
  for (const char* word : {"get", "-H", "-p", "-o", "value", "guid"}) argv.emplace_back(word);
  argv.push_back(dataset_of(toname) + (snapshot_.empty() ? from_at(toname) : snapshot_));
  return argv;
}

std::string ReceiveCommand::give_up_command(const std::string& toname) const {
  std::string text;
  for (const std::string& word : prefix_) text += word + " ";
  return text + "receive -A " + dataset_of(toname);
}

}  // namespace zferry::pipeline
