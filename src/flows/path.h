#pragma once
// Path: the JSONPath subset of FDL (aliyun-fnf.md section 2, rules 5 to 8), parsed once and evaluated on Boost.JSON values.
//
//   $  $.a.b  $["a b"]  $input  $input.events[0].oss.object.key  $local[*].parts[*]  $context.task.token
//
// `$` is the step's own (mapped) input; `$input` and `$local` are what the scope says they are. A wildcard makes the result an array of
// everything that matches, flattened, in order; what lacks the member is skipped. Without a wildcard a path that leads nowhere is
// missing, which mappings turn into null and conditions into false.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace mayfly::flows {

enum class PathError { malformed };

class Path {
 public:
  enum class Root { self, input, local, context };
  struct Segment {
    enum class Kind { key, index, wildcard };
    Kind kind = Kind::key;
    std::string key;
    size_t index = 0;
  };
  static constexpr size_t kMaxSegments = 64;  // as deep as JSON may nest (kMaxJsonDepth)

  // The whole of `text` must be a path.
  static Expected<Path, PathError> parse(std::string_view text);
  // Reads a path at the start of `text` and removes it; keys are limited to [A-Za-z0-9_-] and bytes above 0x7f, so that an operator ends one.
  static Expected<Path, PathError> parse_prefix(std::string_view& text);
  // True if a mapping source is a path rather than a constant: it is $input, $local or $context, alone or followed by '.' or '['.
  static bool is_reference(std::string_view text);

  Root root() const { return root_; }
  const std::vector<Segment>& segments() const { return segments_; }
  const std::string& text() const { return text_; }
  // The value at this path below `root`, or nullopt if there is none.
  std::optional<json::value> evaluate(const json::value& root) const;

 private:
  Root root_ = Root::self;
  std::vector<Segment> segments_;
  std::string text_;
};

// What the four roots mean at one place of an execution. Pointers are borrowed for the time of one evaluation.
struct Scope {
  const json::value* self = nullptr;  // `$`; falls back to `input`
  const json::value* input = nullptr;
  // `$local`: the innermost first. A choice branch sees the enclosing list's local behind its own (aliyun-fnf.md section 2, consequences).
  std::vector<const json::value*> locals;
  std::string_view flow, execution, token;  // $context.flow.name, $context.execution.name, $context.task.token
};

std::optional<json::value> evaluate(const Path& path, const Scope& scope);

}  // namespace mayfly::flows
