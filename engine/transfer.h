// The façade for transfers: runs one end of a session on this machine, from start to report. All of it happens in the
// calling thread and a few workers; nothing crosses as an exception. docs/ARCHITECTURE.md.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "pipeline/report.h"
#include "pipeline/settings.h"

namespace zferry {

using pipeline::Bottleneck;
using pipeline::DedupScope;
using pipeline::Progress;
using pipeline::Report;
using pipeline::Resume;
using pipeline::SourceSettings;
using pipeline::StoreChoice;
using pipeline::TargetSettings;

enum class IoChoice { kAuto, kUring, kPoll };

struct RunSettings {
  IoChoice io = IoChoice::kAuto;
  std::string state_folder;
  int workers = 0;  // threads for whole-block work; 0: one a core, at most kWorkersMax
  Duration progress_every = std::chrono::milliseconds(500);
  std::function<void(const Progress&, Duration elapsed)> on_progress;
  std::function<void(const std::string& backend)> on_backend;
};

// `elapsed` of the whole run comes with the report.
struct RunResult {
  Report report;
  Duration elapsed{0};
};

// Errors: kUsage where the io back end that was asked for is not to be had. Everything that happens after that is in
// the report.
Result<RunResult> run_source(SourceSettings settings, const RunSettings& run);
Result<RunResult> run_target(TargetSettings settings, const RunSettings& run);

}  // namespace zferry
