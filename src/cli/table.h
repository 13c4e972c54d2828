#pragma once
// Table: rows of text in aligned columns, for people. Widths count Unicode code points. Rows longer than the header are a bug.

#include <string>
#include <vector>

namespace mayfly::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row);
  bool empty() const { return rows_.size() == 1; }
  // The header in capitals, then the rows, two blanks between columns, each line indented by `indent` blanks.
  std::string text(size_t indent = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "1.5 MiB"
std::string size_text(uint64_t bytes);

}  // namespace mayfly::cli
