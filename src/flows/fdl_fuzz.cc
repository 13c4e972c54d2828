// Any text: parse_fdl refuses it with a message or gives a definition that the machine can run to its end or to a task.
#include "flows/fdl.h"
#include "flows/machine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::flows;
  auto definition = parse_fdl({reinterpret_cast<const char*>(data), size});
  if (!definition) {
    MAYFLY_CHECK(!definition.error().message.empty());
    return 0;
  }
  Limits limits{.data_bytes = 4096, .slice_events = 200, .slice_bytes = 1 << 20, .pure_jumps = 50};
  State state = make_state("f", "e", "secret", "");
  Applied applied;
  apply(*definition, state, {.kind = Command::Kind::start, .output = R"({"a":[1,{"b":true}],"n":2})"}, limits, applied);
  for (int i = 0; i < 20 && !state.ended(); ++i) {
    // What is stored must come back the same.
    State again = read_state(write_state(state));
    restore(*definition, again);
    MAYFLY_CHECK(write_state(again) == write_state(state));
    if (applied.resume) {
      applied = {};
      apply(*definition, again, {.kind = Command::Kind::resume}, limits, applied);
    } else if (!applied.tasks.empty()) {
      TaskRef task = applied.tasks.back();
      applied = {};
      apply(*definition, again, {.kind = Command::Kind::task_done, .output = R"({"r":[1]})", .step = task.step, .attempt = task.attempt}, limits, applied);
    } else {
      break;
    }
    state = std::move(again);
  }
  return 0;
}
