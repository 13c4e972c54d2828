#include "http/inbox.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace mayfly::http {

std::span<char> Inbox::room() {
  if (storage_.size() - end_ < kMinRoom) {
    std::memmove(storage_.data(), storage_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    if (storage_.size() - end_ < kMinRoom) storage_.resize(storage_.size() * 2);
  }
  return {storage_.data() + end_, storage_.size() - end_};
}

void Inbox::consume(size_t count) {
  MAYFLY_CHECK_OP(count, <=, end_ - begin_);
  begin_ += count;
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  if (storage_.size() > kIdleBytes) storage_ = std::vector<char>(kIdleBytes);
}

void Inbox::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (storage_.size() - end_ < bytes.size()) storage_.resize(end_ + bytes.size());
  std::memcpy(storage_.data() + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

}  // namespace mayfly::http
