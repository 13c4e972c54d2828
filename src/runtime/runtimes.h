#pragma once
// Runtimes: which names a function's `runtime` may have, and how each is run. A runtime is an executor (how calls reach the code) and a
// contract (what the code finds around it: where it lies, which variables and headers it gets). Pure data about names; whether this
// machine has the interpreter is asked with found_on_this_machine().

#include <string>
#include <string_view>
#include <vector>

#include "functions/model.h"

namespace mayfly::runtime {

enum class Executor {
  zygote,       // framed, forked from an interpreter that has imported the function's libraries: Python
  framed,       // our bootstrap, or a program built with sdk/, speaks frames (frame.h)
  http,         // the function serves a port inside its sandbox
  runtime_api,  // the function asks for its next call
  stdio,        // a process per call: body on stdin, reply on stdout
};

enum class Contract {
  fc,         // aliyun-fc.md section 5
  lambda,     // AWS: /2018-06-01, /var/task
  scf,        // tencent-scf.md section 1
  scf_web,    // T1.11
  knative,    // knative-serving.md section 3
  of_watchdog,       // openfaas.md O16.3
  classic_watchdog,  // O16.2
};

struct Runtime {
  std::string_view prefix;     // a function's runtime is of this family if it is this, perhaps with a version behind: python3, python3.9
  Executor executor;
  Contract contract;
  std::string_view program;    // what the machine must have, by absolute path; empty: the function brings its own
  std::string_view package;    // Debian's package with it, or words for what to install: the hint
  bool built = false;          // its own files are made by the build, where that can make them
  std::string_view heap_words{};  // what the interpreter prints when it ends itself because its heap does not suffice
};

const Runtime* find_runtime(std::string_view name);  // null: no such runtime
bool found_on_this_machine(const Runtime& runtime);
std::string available_runtimes();  // "python3, nodejs, custom, ..." of this machine, for hints

constexpr size_t kUnlimitedCalls = 1'000'000;  // more than a shard has connections

// How many calls an instance of this function takes at once, at least 1; 1 for what cannot do more.
size_t concurrency_of(const functions::Function& function);

// Whether an instance that nobody calls is frozen, as its platform does: FC, Lambda and SCF do; Knative's and OpenFaaS' servers go on.
bool freezes(const functions::Function& function);

// Where the code lies inside, without a '/' at the end.
std::string_view code_folder(Contract contract);

}  // namespace mayfly::runtime
