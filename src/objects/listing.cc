// Listing in byte order with skip-scan (reliability.md R3.9): when a key rolls up into a common prefix, the scan jumps behind that prefix
// instead of reading what is below it.
#include "base/encoding.h"
#include "objects/layout.h"
#include "store/keys.h"

namespace mayfly::objects {
namespace {

// With a delimiter the first page is small, since a prefix may end it, and each page without a jump doubles the next.
constexpr size_t kFirstPage = 32;
constexpr size_t kLargestPage = 1024;

// The common prefix `key` rolls up into, or "".
std::string rolled_up(std::string_view key, const ListRequest& request) {
  if (request.delimiter.empty()) return {};
  size_t at = key.find(request.delimiter, request.prefix.size());
  return at == std::string_view::npos ? std::string() : std::string(key.substr(0, at + request.delimiter.size()));
}

// Where the scan begins: behind `after`, and behind everything below it if it is a common prefix of an earlier page.
std::string first_key(const ListRequest& request) {
  if (request.after < request.prefix || request.after.empty()) return prefix_start("o", request.bucket, request.prefix);
  if (request.after.starts_with(request.prefix) && rolled_up(request.after, request) == request.after) {
    return store::after_prefix(prefix_start("o", request.bucket, request.after));
  }
  return object_key(request.bucket, request.after) + '\0';
}

}  // namespace

io::Task<Listing> Objects::list(io::Loop& loop, ListRequest request) {
  Listing listing;
  std::string last = store::after_prefix(prefix_start("o", request.bucket, request.prefix));
  std::string from = first_key(request);
  size_t page = request.delimiter.empty() ? std::min(request.limit + 1, kLargestPage) : kFirstPage;
  if (request.limit == 0) co_return listing;
  size_t count = 0;
  for (;;) {
    if (from.empty() || from >= last) co_return listing;
    std::vector<store::Entry> entries = co_await ground_.store.scan(loop, {.first = from, .last = last, .limit = page});
    bool more = entries.size() == page;
    std::string jump;  // behind the common prefix found last
    for (store::Entry& entry : entries) {
      if (!jump.empty() && entry.key < jump) continue;
      if (count == request.limit) {
        listing.truncated = true;
        co_return listing;
      }
      std::string key = (*store::split_key(entry.key))[3];
      std::string prefix = rolled_up(key, request);
      if (prefix.empty()) {
        listing.next = key;
        listing.objects.push_back(decode_object(request.bucket, std::move(key), entry.value).info);
      } else {
        jump = store::after_prefix(prefix_start("o", request.bucket, prefix));
        listing.next = prefix;
        listing.common_prefixes.push_back(std::move(prefix));
      }
      ++count;
    }
    if (!more) co_return listing;
    from = entries.back().key + '\0';
    if (from < jump) {
      from = std::move(jump);
      page = kFirstPage;
    } else {
      page = std::min(page * 2, kLargestPage);
    }
  }
}

}  // namespace mayfly::objects
