// Host: what a pipeline has of the machine that it runs on, as references to small interfaces. The real machine and the
// simulator fill it alike; nothing in this layer knows which it is.
#pragma once

#include "base/random.h"
#include "flow/workers.h"
#include "io/files.h"
#include "io/loop.h"
#include "io/network.h"
#include "io/processes.h"
#include "seal/noise.h"

namespace zferry::pipeline {

struct Host {
  io::Loop& loop;
  io::Network& network;
  io::Processes& processes;
  io::Files& files;
  flow::Workers& workers;
  flow::Workers& disk;   // one thread, for the store: its calls block
  RandomSource& random;  // the disk's thread takes of it, too
  const seal::Dh& dh;
};

}  // namespace zferry::pipeline
