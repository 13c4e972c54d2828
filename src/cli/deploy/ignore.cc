#include "cli/deploy/ignore.h"

#include "base/encoding.h"

namespace mayfly::cli {
namespace {

struct ClassMatch {
  bool matches = false;
  size_t length = 0;  // of the "[...]" in the pattern; 0 if it is not closed
};

ClassMatch match_class(std::string_view pattern, char c) {
  size_t at = 1;
  bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) ++at;
  bool found = false;
  for (size_t first = at; at < pattern.size() && (pattern[at] != ']' || at == first); ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    char low = pattern[at];
    char high = low;
    if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
      high = pattern[at + 2];
      at += 2;
    }
    if (low <= c && c <= high) found = true;
  }
  if (at >= pattern.size()) return {};
  return {found != negated && c != '/', at + 1};
}

constexpr size_t kNone = std::string_view::npos;

// Where matching goes on after the last star seen; each kind of star needs one.
struct Star {
  size_t pattern = kNone;
  size_t text = 0;
};

}  // namespace

// Greedy matching with two levels of backtracking: the last `*` (which may not swallow '/') and the last `**` (which may). A later `**`
// makes earlier stars final, so the work is bounded by pattern times text squared.
bool wildcard_matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  Star star, deep;
  while (true) {
    if (p < pattern.size() && pattern.substr(p).starts_with("**")) {
      p += 2;
      if (p < pattern.size() && pattern[p] == '/') ++p;  // "**/" also matches no folder at all
      deep = {p, t};
      star = {};
      continue;
    }
    if (p < pattern.size() && pattern[p] == '*') {
      star = {++p, t};
      continue;
    }
    if (p == pattern.size() && t == text.size()) return true;
    if (p < pattern.size() && t < text.size()) {
      char c = text[t];
      if (pattern[p] == '[') {
        ClassMatch match = match_class(pattern.substr(p), c);
        if (match.matches) {
          p += match.length;
          ++t;
          continue;
        }
      } else if (pattern[p] == '?' && c != '/') {
        ++p, ++t;
        continue;
      } else {
        size_t literal = pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
        if (pattern[literal] == c && (literal != p || c == pattern[p])) {
          p = literal + 1;
          ++t;
          continue;
        }
      }
    }
    if (star.pattern != kNone && star.text < text.size() && text[star.text] != '/') {
      t = ++star.text;
      p = star.pattern;
    } else if (deep.pattern != kNone && deep.text < text.size()) {
      t = ++deep.text;
      p = deep.pattern;
      star = {};
    } else {
      return false;
    }
  }
}

void IgnoreRules::add(std::string_view text) {
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == kNone ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    Rule rule;
    if (line.empty() || line[0] == '#') continue;
    if (line[0] == '!') {
      rule.negated = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      rule.folders_only = true;
      line.remove_suffix(1);
    }
    rule.anchored = line.find('/') != kNone;
    if (line.starts_with("./")) line.remove_prefix(2);
    if (line.starts_with('/')) line.remove_prefix(1);
    if (line.empty()) continue;
    rule.pattern = line;
    rules_.push_back(std::move(rule));
  }
}

bool IgnoreRules::ignores(std::string_view path, Entry entry) const {
  std::string_view last = path.substr(path.rfind('/') + 1);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->folders_only && entry != Entry::folder) continue;
    if (wildcard_matches(rule->pattern, rule->anchored ? path : last)) return !rule->negated;
  }
  return false;
}

}  // namespace mayfly::cli
