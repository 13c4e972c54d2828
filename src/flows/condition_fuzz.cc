// Any text as a condition and as a path: parsing never crashes, and what parses evaluates.
#include "base/check.h"
#include "flows/condition.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::flows;
  namespace json = mayfly::json;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  static const json::value kInput = mayfly::parse_json(R"({"a":[1,2,{"b":"x"}],"n":1.5,"t":true,"s":"true"})").value();
  Scope scope{.self = &kInput, .input = &kInput, .locals = {&kInput}, .flow = "f", .execution = "e", .token = "t"};
  if (auto condition = Condition::parse(text)) {
    std::vector<std::string> notes;
    bool first = condition->evaluate(scope, 1, notes);
    MAYFLY_CHECK(first == condition->evaluate(scope, 1, notes));
  }
  if (auto path = Path::parse(text)) {
    MAYFLY_CHECK(path->segments().size() <= Path::kMaxSegments);
    (void)evaluate(*path, scope);
  }
  return 0;
}
