#pragma once
// Inbox: the bytes of a connection that have arrived and are not yet understood, contiguous. Small while nothing happens, because ten
// thousand idle connections each own one; grows for a large head and shrinks back when it runs empty.

#include <span>
#include <string_view>
#include <vector>

namespace mayfly::http {

class Inbox {
 public:
  std::string_view bytes() const { return {storage_.data() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }

  // Where the next bytes may be read to: never empty. Follow with added().
  std::span<char> room();
  void added(size_t count) { end_ += count; }
  void consume(size_t count);
  void append(std::string_view bytes);

 private:
  static constexpr size_t kIdleBytes = 4 * 1024;  // holds nearly every head
  static constexpr size_t kMinRoom = 512;         // less is not worth a system call

  std::vector<char> storage_ = std::vector<char>(kIdleBytes);
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace mayfly::http
