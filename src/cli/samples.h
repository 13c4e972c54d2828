#pragma once
// Event samples: what a trigger of each kind would send to a function, for trying it by hand (aliyun-fc.md section 11).

#include "cli/failure.h"

namespace mayfly::cli {

struct SampleChoice {
  std::string kind;     // "oss" | "timer" | "http" | "mns"
  std::string bucket = "photos", key = "example.jpg";  // oss
  std::string payload;  // timer: the trigger's payload; http, mns: the body
  std::string region, account;
  int64_t wall_us = 0;
};

Result<std::string> sample_event(const SampleChoice& choice);

}  // namespace mayfly::cli
