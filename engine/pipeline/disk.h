// What the disk's worker alone touches: a target's store, open, and its session in it.
#pragma once

#include <memory>

#include "pipeline/plain_blocks.h"
#include "store/store.h"

namespace zferry::pipeline {

// In this order: a session goes before its store, and that before its folder.
struct Disk {
  std::unique_ptr<io::Folder> folder;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<store::Session> session;
  store::Scope scope{};  // of the session's chunks; all zero: none are looked for
  PlainBlocks plain;
};

}  // namespace zferry::pipeline
