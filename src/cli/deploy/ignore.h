#pragma once
// Which files stay out of a package: rules in gitignore's syntax, the later rule wins, a file inside an ignored folder cannot come
// back. Paths are relative to the folder of the rules, with '/' and without a leading one. Immutable after construction.

#include <string>
#include <string_view>
#include <vector>

namespace mayfly::cli {

class IgnoreRules {
 public:
  IgnoreRules() = default;
  explicit IgnoreRules(std::string_view text) { add(text); }
  void add(std::string_view text);  // more lines, after those already there

  enum class Entry { file, folder };
  // For this path alone; a walker does not enter an ignored folder.
  bool ignores(std::string_view path, Entry entry) const;

 private:
  struct Rule {
    std::string pattern;     // without leading and trailing slash
    bool negated = false;
    bool folders_only = false;
    bool anchored = false;   // matches the whole path rather than the last part of it
  };
  std::vector<Rule> rules_;
};

// gitignore's wildcards: `*` and `?` stop at '/', `**` does not, `[a-z]`, `[!a]`, backslash escapes.
bool wildcard_matches(std::string_view pattern, std::string_view text);

}  // namespace mayfly::cli
